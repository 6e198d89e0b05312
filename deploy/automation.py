"""The automation that protects what an audit finds unprotected: created once, then left to operators."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from uuid import UUID

from httpx import Response
from prefect.client.orchestration import PrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deploy.record import Record
from reporting.events import UNPROTECTED

NAME = "Protect unprotected snapshots"
RUNS = "protect-snapshots/on-demand"
_PAGE = 200
_RECREATE = "hetzner-snapshots deploy --recreate-automation"


@dataclass(frozen=True)
class Ensured:
    """The automation's id, to be stored, and what was done."""

    automation_id: UUID | Literal[""]
    name: str
    message: str


async def ensure_automation(
    client: PrefectClient, deployment_id: UUID, record: Record, *, recreate: bool = False
) -> Ensured:
    """Create the automation where there never was one; leave one that exists to its operator.

    Args:
        client: Of the server.
        deployment_id: Of the deployment that it runs.
        record: Tells its id, or that it was deleted.
        recreate: Create it also where it was deleted.
    """
    if record.automation is None or record.saved is None:
        await _release_owned(client, deployment_id)
        found = await _find(client, deployment_id)
    else:
        found = [item for item in await _fetch_all(client) if item.id == record.automation]
    if found:
        return await _keep(client, found, deployment_id)
    if record.automation is None or recreate:
        return await _create(client, deployment_id)
    return Ensured(record.automation, NAME, f"was deleted, not created again; to create it: {_RECREATE}")


async def _keep(client: PrefectClient, found: Sequence[Automation], deployment_id: UUID) -> Ensured:
    kept, *others = found
    state = "enabled" if kept.enabled else "disabled"
    also = f"; others do the same: {', '.join(other.name for other in others)}" if others else ""
    protecting = [action for action in _runs(kept) if _protects(action)]
    dead = {action.deployment_id for action in protecting} - await _existing(client, protecting)
    if not dead:
        return Ensured(kept.id, kept.name, f"already exists, {state}, unchanged{also}")
    for action in protecting:
        if action.deployment_id in dead:
            action.deployment_id = deployment_id
    await client.update_automation(kept.id, _core(kept))
    return Ensured(kept.id, kept.name, f"{state}; ran a deleted deployment, runs {RUNS} again{also}")


async def _create(client: PrefectClient, deployment_id: UUID) -> Ensured:
    created = await client.create_automation(describe_automation(deployment_id))
    await _drop_doubles(client, deployment_id)  # another deploy may have created it at the same time
    found = await _find(client, deployment_id)
    kept = next((item for item in found if item.id == created), found[0])
    return Ensured(kept.id, kept.name, "created, disabled; enable it in Prefect, on the page Automations")


def describe_automation(deployment_id: UUID) -> AutomationCore:
    """Describe what runs protect-snapshots for exactly the project of an event."""
    # Not a bare "{{ ... }}" in the list: Prefect drops such an item, and no project means every project.
    project = {"__prefect_kind": "jinja", "template": "{{ event.resource.name }}"}
    return AutomationCore.model_validate(
        {
            "name": NAME,
            "description": "Protects exactly the project whose snapshots an audit found unprotected.",
            "enabled": False,
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": [UNPROTECTED],
                "match": {"prefect.resource.id": "hetzner-cloud.project.*"},
                "threshold": 1,
                "within": 0,
            },
            "actions": [
                {
                    "type": "run-deployment",
                    "source": "selected",
                    "deployment_id": str(deployment_id),
                    "parameters": {"projects": [project]},
                }
            ],
        }
    )


async def _release_owned(client: PrefectClient, deployment_id: UUID) -> None:
    """Turn the automations that a deployment owns, as 0.4.0 created them, into ones that no deployment owns.

    Prefect does not report which are owned. So each gets a copy, then the owned ones are deleted, then the
    copies of those that were not owned. Interrupted anywhere, the next time ends with one of each.
    """
    related = await _fetch_related(client, deployment_id)
    for same in _group_equal(related):
        if len(same) == 1:
            await client.create_automation(_core(same[0]))
    if related:
        await client.delete_resource_owned_automations(f"prefect.deployment.{deployment_id}")
        await _drop_doubles(client, deployment_id)


async def _drop_doubles(client: PrefectClient, deployment_id: UUID) -> None:
    for _, *doubles in _group_equal(await _fetch_related(client, deployment_id)):
        for double in doubles:
            await delete_automation(client, double.id)


async def delete_automation(client: PrefectClient, automation_id: UUID) -> None:
    """Delete an automation, unless that has just been done by another command."""
    try:
        await client.delete_automation(automation_id)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise


async def _find(client: PrefectClient, deployment_id: UUID) -> list[Automation]:
    """Find it by what it does: it runs our deployment, or one that was deleted, on our event."""
    found = [
        item for item in await _fetch_all(client) if UNPROTECTED in _expected(item.trigger) and _runs(item)
    ]
    runs = [action for item in found for action in _runs(item)]
    existing = await _existing(client, runs)
    ours = [
        action
        for action in runs
        if action.deployment_id == deployment_id
        or (action.deployment_id not in existing and _protects(action))
    ]
    return [item for item in found if any(action in ours for action in _runs(item))]


async def _existing(client: PrefectClient, runs: Iterable[RunDeployment]) -> set[UUID | None]:
    existing: set[UUID | None] = set()
    for deployment_id in {action.deployment_id for action in runs if action.deployment_id}:
        with suppress(ObjectNotFound):
            existing.add((await client.read_deployment(deployment_id)).id)
    return existing


def _runs(automation: Automation) -> list[RunDeployment]:
    return [
        action for action in automation.actions if isinstance(action, RunDeployment) and action.deployment_id
    ]


def _protects(action: RunDeployment) -> bool:
    """Whether it runs protect-snapshots, as far as can be known of a deployment that was deleted."""
    return "projects" in (action.parameters or {})


def _expected(trigger: object) -> set[str]:
    inner = [_expected(each) for each in getattr(trigger, "triggers", ())]
    return set(getattr(trigger, "expect", ())).union(*inner)


async def _fetch_related(client: PrefectClient, deployment_id: UUID) -> list[Automation]:
    name = f"prefect.deployment.{deployment_id}"
    response = await client.request(
        "GET", "/automations/related-to/{resource_id}", path_params={"resource_id": name}
    )
    return _sort(response)


async def _fetch_all(client: PrefectClient) -> list[Automation]:
    found: list[Automation] = []
    while len(page := _sort(await _fetch_page(client, len(found)))) == _PAGE:
        found += page
    return found + page


async def _fetch_page(client: PrefectClient, offset: int) -> Response:
    body = {"limit": _PAGE, "offset": offset, "sort": "CREATED_DESC"}
    return await client.request("POST", "/automations/filter", json=body)


def _sort(response: Response) -> list[Automation]:
    """The oldest first, so that two deploys at the same time keep the same one."""
    found = sorted(response.json(), key=lambda item: (item["created"], item["id"]))
    return Automation.model_validate_list(found)


def _group_equal(automations: Iterable[Automation]) -> list[list[Automation]]:
    groups: list[list[Automation]] = []
    for automation in automations:
        for group in groups:
            if _core(group[0]) == _core(automation):
                group.append(automation)
                break
        else:
            groups.append([automation])
    return groups


def _core(automation: Automation) -> AutomationCore:
    return AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))
