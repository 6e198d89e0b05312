"""Making the changes: a missing deployment by Prefect's own command, an existing one by one request."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deploy.changes import Changes, ScheduleChange
from deploy.plan import DeploymentSpec

ROOT = Path(__file__).resolve().parent.parent


class CommandError(Exception):
    """A command of Prefect failed; the message holds its output."""


class _Update(DeploymentUpdate):
    """With the one field of the server's that Prefect's client lacks."""

    global_concurrency_limit_id: UUID | None = None


async def create_pool(client: PrefectClient, name: str, *, expected: bool = False) -> str:
    """Create a process work pool if it is missing; return what was done.

    Args:
        client: Of the server.
        name: Of the work pool.
        expected: Whether an earlier deploy has created it, so that it was deleted if it is missing.
    """
    if await _pool_exists(client, name):
        return "already exists, unchanged"
    try:
        _run_prefect("work-pool", "create", name, "--type", "process")
    except CommandError:
        if not await _pool_exists(client, name):  # unless another deploy has just created it
            raise
    if expected:
        return (
            "CHECK it was deleted, and is created again without the settings that it had: job variables, "
            "limits, work queues; restart its workers"
        )
    return "created, for processes on a worker's own machine"


async def _pool_exists(client: PrefectClient, name: str) -> bool:
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        return False
    return True


def create_missing(missing: Sequence[DeploymentSpec], existing: Sequence[DeploymentSpec]) -> None:
    """Create deployments from prefect.yaml, which nothing from the server gets into."""
    names = dict.fromkeys(spec.short_name for spec in missing)
    if not missing:
        return
    if names.keys().isdisjoint(spec.short_name for spec in existing):
        _run_prefect("--no-prompt", "deploy", *(word for name in names for word in ("--name", name)))
        return
    # `--name` would overwrite the existing deployments that share the name of a missing one.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "prefect.yaml")
        file.write_text(_leave_out(existing))
        _run_prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))


def _leave_out(existing: Sequence[DeploymentSpec]) -> str:
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    known = {(spec.short_name, spec.always["entrypoint"]) for spec in existing}
    missing = [
        entry for entry in described["deployments"] if (entry["name"], entry["entrypoint"]) not in known
    ]
    return yaml.safe_dump({**described, "deployments": missing})


async def apply_changes(client: PrefectClient, deployed: DeploymentResponse, changes: Changes) -> None:
    """Make the changes: all fields in one transaction, then each schedule in another one."""
    if changes.fields:
        await client.update_deployment(deployed.id, _Update.model_validate(dict(changes.fields)))
    for change in changes.schedules:
        if change.schedule_id is None:
            await _create_schedule(client, deployed, change)
        elif change.action == "deleted":
            with suppress(ObjectNotFound):
                await client.delete_deployment_schedule(deployed.id, change.schedule_id)
        else:
            await client.update_deployment_schedule(
                deployed.id,
                change.schedule_id,
                active=change.active,
                schedule=change.schedule,
                parameters=dict(change.parameters),
            )


async def _create_schedule(
    client: PrefectClient, deployed: DeploymentResponse, change: ScheduleChange
) -> None:
    schedule = DeploymentScheduleCreate(
        schedule=change.schedule,
        active=change.active is not False,
        parameters=dict(change.parameters),
        slug=change.slug,
    )
    try:
        await client.create_deployment_schedules(deployed.id, [schedule])
    except PrefectHTTPStatusError:
        there = await client.read_deployment_schedules(deployed.id)
        if change.slug not in {each.slug for each in there}:  # unless another deploy has just created it
            raise


def _run_prefect(*arguments: str) -> None:
    """Run Prefect's own command; its output matters only if it fails."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise CommandError(
            f"{_without_traceback(done.stdout)}\n`prefect {' '.join(arguments)}` failed, see above."
        )


def _without_traceback(output: str) -> str:
    """What a command printed; of a traceback only the error at its end."""
    before, traceback, after = output.partition("Traceback (most recent call last)")
    if not traceback:
        return output
    lines = after.splitlines()
    frames = [number for number, line in enumerate(lines) if line[:1] in {"", " ", "│", "╭", "╰"}]
    return "\n".join([before.rstrip("╭─ \n"), *lines[frames[-1] + 1 :]]).strip()
