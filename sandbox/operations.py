"""The API's operations: functions from state and call to an answer, named as everywhere in this project."""

from collections.abc import Callable
from typing import Any

from sandbox import api_errors
from sandbox.actions import plan_action
from sandbox.listing import Record, in_order, one_page
from sandbox.request import Call
from sandbox.sandbox import Sandbox

Answer = tuple[int, dict[str, Any] | None]
Operation = Callable[[Sandbox, Call], Answer]

_TYPES = frozenset({"system", "app", "snapshot", "backup"})
_STATUSES = frozenset({"available", "creating", "unavailable"})
_ARCHITECTURES = frozenset({"x86", "arm"})
_IMAGE_SORTS = frozenset({"id", "name", "created"})
_ACTION_SORTS = frozenset({"id", "command", "status", "started", "finished"})
_ACTION_STATUSES = frozenset({"running", "success", "error"})
_CHANGELOG = "https://docs.hetzner.cloud/changelog"
_ACTIONS_REMOVED = (
    f"{_CHANGELOG}#2025-01-30-listing-arbitrary-actions-in-the-actions-list-endpoint-is-removed"
)


def list_images(sandbox: Sandbox, call: Call) -> Answer:
    wanted: dict[str, list[Any]] = {
        "type": call.choices("type", _TYPES),
        "status": call.choices("status", _STATUSES),
        "architecture": call.choices("architecture", _ARCHITECTURES),
        "name": call.values("name"),
        "bound_to": call.numbers("bound_to"),
    }
    chosen = list(sandbox.images.values())
    for key, values in wanted.items():
        if values:
            chosen = [image for image in chosen if image[key] in values]
    if not call.flag("include_deprecated"):
        chosen = [image for image in chosen if image.get("deprecation") is None]
    if (selector := call.label_selector()).requirements:
        chosen = [image for image in chosen if selector.matches(image["labels"])]
    return 200, one_page("images", in_order(chosen, call.sort_keys(_IMAGE_SORTS)), call)


def get_image(sandbox: Sandbox, call: Call) -> Answer:
    return 200, {"image": sandbox.state.image(call.image_id)}


def update_image(sandbox: Sandbox, call: Call) -> Answer:
    changes = call.json_object(description=str, labels=dict, type=str)
    image = _snapshot_or_backup(sandbox, call)
    if changes.get("type", "snapshot") != "snapshot":
        raise api_errors.invalid_input("type", "must be snapshot")
    image.update(changes)
    return 200, {"image": image}


def delete_image(sandbox: Sandbox, call: Call) -> Answer:
    if _snapshot_or_backup(sandbox, call)["protection"]["delete"]:
        raise api_errors.protected()
    sandbox.state.delete_image(call.image_id)
    return 204, None


def change_image_protection(sandbox: Sandbox, call: Call) -> Answer:
    delete = call.json_object(delete=bool).get("delete")
    fault = sandbox.faults.take_action_fault(call.image_id)
    if fault and fault.kind == "image_deleted":
        sandbox.images.pop(call.image_id, None)
    planned = plan_action(sandbox.settings, fault, delete=delete)
    action = sandbox.state.change_protection(call.image_id, planned)
    return 201, {"action": action.as_json(sandbox.clock())}


def list_actions_for_image(sandbox: Sandbox, call: Call) -> Answer:
    sandbox.state.image(call.image_id)
    actions = sandbox.state.actions_of(call.image_id)
    return _page_of_actions([action.as_json(sandbox.clock()) for action in actions], call)


def get_action_for_image(sandbox: Sandbox, call: Call) -> Answer:
    if sandbox.settings.action_for_image_gone:
        raise api_errors.deprecated_api_endpoint(_CHANGELOG)
    if sandbox.state.action(call.action_id).image_id != call.image_id:
        raise api_errors.not_found("action")
    return get_action(sandbox, call)


def list_image_actions(sandbox: Sandbox, call: Call) -> Answer:
    actions = sandbox.state.actions(call.ids() or None)
    return _page_of_actions([action.as_json(sandbox.clock()) for action in actions], call)


def list_actions(sandbox: Sandbox, call: Call) -> Answer:
    if not call.ids():
        raise api_errors.deprecated_api_endpoint(_ACTIONS_REMOVED)
    return 200, {"actions": [action.as_json(sandbox.clock()) for action in sandbox.state.actions(call.ids())]}


def get_action(sandbox: Sandbox, call: Call) -> Answer:
    return 200, {"action": sandbox.state.action(call.action_id).as_json(sandbox.clock())}


def _page_of_actions(actions: list[Record], call: Call) -> Answer:
    statuses = call.choices("status", _ACTION_STATUSES)
    chosen = [action for action in actions if not statuses or action["status"] in statuses]
    return 200, one_page("actions", in_order(chosen, call.sort_keys(_ACTION_SORTS)), call)


def _snapshot_or_backup(sandbox: Sandbox, call: Call) -> Record:
    image = sandbox.state.image(call.image_id)
    if image["type"] not in {"snapshot", "backup"}:
        raise api_errors.unsupported("only snapshots and backups can be changed")
    return image


# Starlette takes the first route that matches: /images/actions stands before /images/{image_id}.
OPERATIONS: dict[str, tuple[str, str, Operation]] = {
    "list_images": ("GET", "/images", list_images),
    "list_image_actions": ("GET", "/images/actions", list_image_actions),
    "get_image_action": ("GET", "/images/actions/{action_id:int}", get_action),
    "get_image": ("GET", "/images/{image_id:int}", get_image),
    "update_image": ("PUT", "/images/{image_id:int}", update_image),
    "delete_image": ("DELETE", "/images/{image_id:int}", delete_image),
    "list_actions_for_image": ("GET", "/images/{image_id:int}/actions", list_actions_for_image),
    "get_action_for_image": ("GET", "/images/{image_id:int}/actions/{action_id:int}", get_action_for_image),
    "change_image_protection": (
        "POST",
        "/images/{image_id:int}/actions/change_protection",
        change_image_protection,
    ),
    "list_actions": ("GET", "/actions", list_actions),
    "get_action": ("GET", "/actions/{action_id:int}", get_action),
}
