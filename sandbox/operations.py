"""The API's operations: functions from a sandbox and a request to a response."""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox import api_errors
from sandbox.actions import ActionRecord, plan_action
from sandbox.labels import validate_labels
from sandbox.listing import Record, paginate, sort_records
from sandbox.request import OperationRequest
from sandbox.sandbox import Sandbox
from sandbox.servers import show_server

OperationResponse = tuple[int, dict[str, Any] | None]
Operation = Callable[[Sandbox, OperationRequest], OperationResponse]

_TYPES = frozenset({"system", "app", "snapshot", "backup"})
_STATUSES = frozenset({"available", "creating", "unavailable"})
_ARCHITECTURES = frozenset({"x86", "arm"})
_SERVER_STATUSES = frozenset(
    {
        *("running", "initializing", "starting", "stopping", "off"),
        *("deleting", "migrating", "rebuilding", "unknown"),
    }
)
_SORTS = frozenset({"id", "name", "created"})
_ACTION_SORTS = frozenset({"id", "command", "status", "started", "finished"})
_ACTION_STATUSES = frozenset({"running", "success", "error"})
_CHANGELOG = "https://docs.hetzner.cloud/changelog"
_ACTIONS_REMOVED = (
    f"{_CHANGELOG}#2025-01-30-listing-arbitrary-actions-in-the-actions-list-endpoint-is-removed"
)


def list_images(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    images = _filter_by_fields(sandbox.images.values(), request)
    if not request.flag("include_deprecated"):
        images = [image for image in images if image.get("deprecation") is None]
    if (selector := request.label_selector()).requirements:
        images = [image for image in images if selector.matches(image.get("labels") or {})]
    return 200, paginate("images", sort_records(images, request.sort_keys(_SORTS)), request)


def _filter_by_fields(images: Iterable[Record], request: OperationRequest) -> list[Record]:
    filters: dict[str, list[Any]] = {
        "type": request.choices("type", _TYPES),
        "status": request.choices("status", _STATUSES),
        "architecture": request.choices("architecture", _ARCHITECTURES),
        "name": request.values("name"),
        "bound_to": request.numbers("bound_to"),
    }
    found = list(images)
    for key, values in filters.items():
        if values:
            found = [image for image in found if image.get(key) in values]
    return found


def get_image(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    return 200, {"image": sandbox.state.image(request.image_id)}


def update_image(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    changes = request.json_object(description=str, labels=dict, type=str)
    validate_labels(changes.get("labels", {}))
    image = _snapshot_or_backup(sandbox, request)
    if changes.get("type", "snapshot") != "snapshot":
        raise api_errors.invalid_input("type", "must be snapshot")
    image.update(changes)
    return 200, {"image": image}


def delete_image(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    protection = _snapshot_or_backup(sandbox, request).get("protection") or {}
    if protection.get("delete"):
        raise api_errors.protected()
    fault = sandbox.faults.take_deletion_fault(request.image_id)
    if fault is None:
        sandbox.state.delete_image(request.image_id)
    elif fault.kind == "protected_again":
        sandbox.set_protection(request.image_id, delete=True)
        raise api_errors.protected()
    elif fault.kind == "delete_late":
        sandbox.state.delete_image_later(request.image_id, fault.seconds)
    return 204, None


def change_image_protection(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    delete = request.json_object(delete=bool).get("delete")
    fault = sandbox.faults.take_action_fault(request.image_id)
    if fault and fault.kind == "image_deleted":
        sandbox.images.pop(request.image_id, None)
    planned = plan_action(sandbox.settings, fault, delete=delete)
    action = sandbox.state.change_protection(request.image_id, planned)
    return 201, {"action": action.as_json(sandbox.clock())}


def list_actions_for_image(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    sandbox.state.image(request.image_id)
    actions = sandbox.state.actions_of(request.image_id)
    return _actions_page(_as_json(sandbox, actions), request)


def get_action_for_image(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    if sandbox.settings.action_for_image_gone:
        raise api_errors.deprecated_api_endpoint(_CHANGELOG)
    if sandbox.state.action(request.action_id).image_id != request.image_id:
        raise api_errors.not_found("action")
    return get_action(sandbox, request)


def list_image_actions(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    actions = sandbox.state.actions(request.ids() or None)
    return _actions_page(_as_json(sandbox, actions), request)


def list_actions(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    if not request.ids():
        raise api_errors.deprecated_api_endpoint(_ACTIONS_REMOVED)
    return 200, {"actions": _as_json(sandbox, sandbox.state.actions(request.ids()))}


def get_action(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    return 200, {"action": sandbox.state.action(request.action_id).as_json(sandbox.clock())}


def list_servers(sandbox: Sandbox, request: OperationRequest) -> OperationResponse:
    names, statuses = request.values("name"), request.choices("status", _SERVER_STATUSES)
    selector = request.label_selector()
    servers = [
        server
        for server in list(sandbox.servers.values())
        if (not names or server.get("name") in names)
        and (not statuses or server.get("status") in statuses)
        and selector.matches(server.get("labels") or {})
    ]
    page = paginate("servers", sort_records(servers, request.sort_keys(_SORTS)), request)
    return 200, page | {"servers": [show_server(server, sandbox.images) for server in page["servers"]]}


def list_prices(sandbox: Sandbox, _request: OperationRequest) -> OperationResponse:
    return 200, {"pricing": sandbox.prices}


def _as_json(sandbox: Sandbox, actions: Iterable[ActionRecord]) -> list[Record]:
    now = sandbox.clock()
    return [action.as_json(now) for action in actions]


def _actions_page(actions: list[Record], request: OperationRequest) -> OperationResponse:
    statuses = request.choices("status", _ACTION_STATUSES)
    chosen = [action for action in actions if not statuses or action["status"] in statuses]
    return 200, paginate("actions", sort_records(chosen, request.sort_keys(_ACTION_SORTS)), request)


def _snapshot_or_backup(sandbox: Sandbox, request: OperationRequest) -> Record:
    image = sandbox.state.image(request.image_id)
    if image.get("type") not in {"snapshot", "backup"}:
        raise api_errors.unsupported("only snapshots and backups can be changed")
    return image


# Starlette takes the first route that matches: /images/actions stands before /images/{image_id}.
OPERATIONS: dict[str, tuple[str, str, Operation]] = {
    "list_images": ("GET", "/images", list_images),
    "list_image_actions": ("GET", "/images/actions", list_image_actions),
    "get_image_action": ("GET", "/images/actions/{action_id:id}", get_action),
    "get_image": ("GET", "/images/{image_id:id}", get_image),
    "update_image": ("PUT", "/images/{image_id:id}", update_image),
    "delete_image": ("DELETE", "/images/{image_id:id}", delete_image),
    "list_actions_for_image": ("GET", "/images/{image_id:id}/actions", list_actions_for_image),
    "get_action_for_image": ("GET", "/images/{image_id:id}/actions/{action_id:id}", get_action_for_image),
    "change_image_protection": (
        "POST",
        "/images/{image_id:id}/actions/change_protection",
        change_image_protection,
    ),
    "list_actions": ("GET", "/actions", list_actions),
    "get_action": ("GET", "/actions/{action_id:id}", get_action),
    "list_servers": ("GET", "/servers", list_servers),
    "list_prices": ("GET", "/pricing", list_prices),
}
