"""What people have set on a deployment, and how it outlives the next `prefect deploy`.

Prefect sets everything that prefect.yaml describes anew: switches, schedules, parameters. Here a part keeps
what is on the server, unless prefect.yaml describes this very part otherwise than at the last deployment.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound

# By part of prefect.yaml, the fields of a deployment that it sets.
_FIELDS: Mapping[str, Sequence[str]] = {
    "description": ("description",),
    "tags": ("tags",),
    "parameters": ("parameters",),
    "schedules": ("schedules",),
    "concurrency_limit": ("concurrency_limit", "concurrency_options"),
    "work_pool": ("work_pool_name", "work_queue_name", "job_variables"),
    "paused": ("paused",),
}


@dataclass(frozen=True)
class OnServer:
    """A deployment as it is on the server, with the automations that belong to it."""

    deployment: DeploymentResponse
    automations: Sequence[Automation]


async def look(client: PrefectClient, name: str) -> OnServer | None:
    """Find a deployment by flow and deployment name; None if there is none."""
    try:
        deployment = await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None
    related = await client.read_resource_related_automations(f"prefect.deployment.{deployment.id}")
    return OnServer(deployment, related)


async def restore(
    client: PrefectClient, name: str, before: OnServer, changed: Collection[str] | None
) -> None:
    """Give a deployment back what people had set.

    Args:
        client: Of the server.
        name: Flow and deployment name.
        before: As it was before it was deployed again.
        changed: The parts that prefect.yaml describes otherwise than last time; None if nobody knows: then
            only the switches are given back.
    """
    after = await look(client, name)
    if after is None:
        return
    if update := _to_restore(before.deployment, after.deployment, changed):
        await client.update_deployment(after.deployment.id, DeploymentUpdate.model_validate(update))
    await _restore_automations(client, before, after, known=changed is not None and "triggers" not in changed)


def _to_restore(
    before: DeploymentResponse, after: DeploymentResponse, changed: Collection[str] | None
) -> dict[str, Any]:
    kept = {"paused"} if changed is None else _FIELDS.keys() - set(changed)
    was, now = _settable(before), _settable(after)
    fields = [field for part in kept for field in _FIELDS[part] if was[field] != now[field]]
    update = {field: was[field] for field in fields}
    if "schedules" not in kept:
        schedules = _with_switches(was["schedules"], now["schedules"])
        update |= {"schedules": schedules} if schedules != now["schedules"] else {}
    return update


def _settable(deployment: DeploymentResponse) -> dict[str, Any]:
    fields = deployment.model_dump(mode="json")
    limit = fields.get("global_concurrency_limit")
    unnamed = {"id", "created", "updated", "deployment_id"}
    schedules = [
        {key: value for key, value in schedule.items() if key not in unnamed}
        for schedule in fields["schedules"]
    ]
    return {**fields, "concurrency_limit": limit["limit"] if limit else None, "schedules": schedules}


def _with_switches(was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A schedule that was switched off stays so, also where it changes its hour: it is the only one."""
    off = bool(was) and not any(schedule["active"] for schedule in was)
    return [schedule | {"active": False} for schedule in now] if off else list(now)


async def _restore_automations(
    client: PrefectClient, before: OnServer, after: OnServer, *, known: bool
) -> None:
    had: dict[UUID, Automation] = {automation.id: automation for automation in before.automations}
    by_name = {automation.name: automation for automation in before.automations}
    for automation in after.automations:
        if automation.id in had:  # a person's own
            continue
        earlier = by_name.get(automation.name)
        if earlier is None:
            if known:  # deleted by a person
                await client.delete_automation(automation.id)
        elif known:
            await client.update_automation(automation.id, _core(earlier))
        elif earlier.enabled != automation.enabled:
            switch = client.resume_automation if earlier.enabled else client.pause_automation
            await switch(automation.id)


def _core(automation: Automation) -> AutomationCore:
    return AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))
