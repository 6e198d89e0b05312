"""Deploy: creates what is missing, and updates what exists without overwriting operators' settings."""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from blocks.credentials import HetznerCloudCredentials
from deploy.apply import ROOT, CommandError, apply_changes, create_missing, create_pool
from deploy.automation import RUNS, ensure_automation
from deploy.changes import find_changes
from deploy.drift import Drift, digest_described, digest_settings, find_drift
from deploy.merge import describe_parts, digest_parts
from deploy.plan import DeploymentSpec, PlanError, read_plan
from deploy.record import VARIABLE, Entry, Record, excess, load_record, save_record
from deploy.report import format_deployment
from deploy.server_errors import format_failure, format_rejection
from deploy.state import fetch, fetch_updates, find_abandoned
from deploy.workers import describe_workers

INTERRUPTED = "Interrupted. Each deployment is as before or updated; run it again to finish."


class DeployError(Exception):
    """Deploying failed; the message says why and what to do."""


async def deploy(*, recreate_automation: bool = False) -> None:
    """Deploy what has changed, and print what was done.

    Raises:
        DeployError: With what to do.
        CommandError: A command of Prefect failed.
        PlanError: prefect.yaml describes something unsupported.
    """
    url = get_current_settings().api.url
    if not url:
        raise DeployError("PREFECT_API_URL is not set: export PREFECT_API_URL=http://127.0.0.1:4200/api")
    try:
        async with get_client() as client:
            await _check_server(client, url)
            await _deploy(client, recreate_automation=recreate_automation)
    except (httpx.HTTPError, ObjectNotFound) as error:
        raise DeployError(format_failure(error)) from None


async def _deploy(client: PrefectClient, *, recreate_automation: bool) -> None:
    plan, record = await read_plan(ROOT), await load_record(client)
    _check_room(plan, record)
    await HetznerCloudCredentials.aregister_type_and_schema(client=client)
    pools = sorted({spec.work_pool for spec in plan})
    for pool in pools:
        print(f"work pool {pool}: {await create_pool(client, pool, expected=bool(record.deployments))}")
    await _Deploy(client, record, plan).run(recreate_automation=recreate_automation)
    for pool in pools:
        print(*await describe_workers(client, pool), sep="\n")


async def _check_server(client: PrefectClient, url: str) -> None:
    try:
        await client.read_work_pools(limit=1)
    except httpx.TransportError as error:
        raise DeployError(
            f"Cannot reach the Prefect server at {url} ({type(error).__name__}). Is PREFECT_API_URL right, "
            "and the server running?"
        ) from None
    except PrefectHTTPStatusError as error:
        raise DeployError(
            f"The Prefect server at {url} returned {error.response.status_code}. "
            "Are PREFECT_API_URL and PREFECT_API_KEY or PREFECT_API_AUTH_STRING right?"
        ) from None
    except ValueError:
        raise DeployError(f"The server at {url} is not a Prefect server. Is PREFECT_API_URL right?") from None


def _check_room(plan: list[DeploymentSpec], record: Record) -> None:
    """Before any change: one that is not recorded would be made again, over what operators set since then."""
    entries = {
        spec.name: Entry(described=digest_parts(describe_parts(spec)), deployed=digest_described(spec))
        for spec in plan
    }
    more = excess(record.model_copy(update={"deployments": {**record.deployments, **entries}}))
    if more > 0:
        raise DeployError(
            f"prefect.yaml describes too much: its record is {more:,} bytes larger than the limit of a "
            "Prefect variable. Nothing was changed. Set job variables on the work pool; or, if the record "
            f"is full of deployments that were deleted, delete the variable {VARIABLE}."
        )


@dataclass(frozen=True)
class _Deploy:
    """One deploy. Each write is one transaction, and what it did is recorded after it, never before."""

    client: PrefectClient
    record: Record
    plan: list[DeploymentSpec]

    async def run(self, *, recreate_automation: bool) -> None:
        missing = [spec for spec in self.plan if await fetch(self.client, spec.name) is None]
        create_missing(missing, [spec for spec in self.plan if spec not in missing])
        await self._ensure_automation(recreate=recreate_automation)
        failed = [spec.name for spec in self.plan if not await self._update(spec, created=spec in missing)]
        names = {spec.name for spec in self.plan}
        for name in await find_abandoned(self.client, names, self.record.deployments):
            print(
                f"deployment {name}: not in prefect.yaml, but still active on the server; to delete it: "
                f"prefect deployment delete {name}"
            )
        if failed:
            raise DeployError(f"Not updated, see above: {', '.join(failed)}.")

    async def _ensure_automation(self, *, recreate: bool) -> None:
        deployed = await fetch(self.client, RUNS)
        if deployed is None:
            return
        done = await ensure_automation(self.client, deployed.id, self.record, recreate=recreate)
        if done.automation_id != self.record.automation or self.record.saved is None:
            await save_record(
                self.client, lambda record: record.model_copy(update={"automation": done.automation_id})
            )
        print(f'automation "{done.name}": {done.message}')

    async def _update(self, spec: DeploymentSpec, *, created: bool) -> bool:
        deployed = await fetch(self.client, spec.name)
        if deployed is None:
            print(f"deployment {spec.name}: FAILED: deleted during the deploy")
            return False
        last = None if created else self.record.deployments.get(spec.name)
        changes = find_changes(spec, last.described if last else None, deployed)
        drift = await self._find_drift(spec, last, deployed)
        try:
            await apply_changes(self.client, deployed, changes)
        except (ObjectNotFound, PrefectHTTPStatusError) as error:
            print(f"deployment {spec.name}: FAILED: {format_rejection(error)}")
            return False
        if not await self._save(spec):
            print(f"deployment {spec.name}: FAILED: deleted during the deploy")
            return False
        print(f"deployment {spec.name}: {format_deployment(changes, drift, created=created)}")
        return True

    async def _find_drift(
        self, spec: DeploymentSpec, last: Entry | None, deployed: DeploymentResponse
    ) -> Drift:
        if last is None:
            return Drift()
        updates = await fetch_updates(self.client, deployed, self.record.saved)
        return find_drift(spec, last.deployed, deployed, updates)

    async def _save(self, spec: DeploymentSpec) -> bool:
        deployed = await fetch(self.client, spec.name)
        if deployed is None:
            return False
        entry = Entry(described=digest_parts(describe_parts(spec)), deployed=digest_settings(deployed))

        def put(record: Record) -> Record:
            return record.model_copy(update={"deployments": {**record.deployments, spec.name: entry}})

        await save_record(self.client, put)
        return True


def main(*, recreate_automation: bool = False) -> None:
    """Deploy as a command does: an error is one message, and exit status 1.

    Raises:
        SystemExit: Deploying failed.
    """
    try:
        asyncio.run(deploy(recreate_automation=recreate_automation))
    except (DeployError, CommandError, PlanError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    parser.add_argument(
        "--recreate-automation", action="store_true", help="create the automation again if it was deleted"
    )
    try:
        main(recreate_automation=parser.parse_args().recreate_automation)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
