"""What the playground has to show: projects, policies, findings, and runs that wait for approval."""

import time
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from blocks.snapshot_policy import DEFAULT, SnapshotPolicy
from sandbox import Sandbox
from snapshot_protection.policy import Keep, Policy, Rule

CI_RULE = "CI builds"
POLICY = Policy(rules=[Rule(name=CI_RULE, server="ci-*", protect=False)])
PROD, STAGING, ARCHIVE = "prod", "staging", "archive"
ARCHIVE_POLICY = Policy(
    rules=[
        Rule(
            name="weekly",
            projects=[ARCHIVE],
            prune=True,
            keep=Keep(last=3, within_days=30, daily=0, weekly=8, monthly=12),
        )
    ]
)
_ARCHIVED_SERVERS = ("db-2", "mail-1", "web-2")
_WEEKS = 52
_AUDIT = "audit-snapshot-protection/nightly"
_UNPROTECT = "unprotect-snapshots/with-approval"
_PRUNE = "prune-snapshots/on-demand"
_RUN_SECONDS = 120
_FINAL_OR_WAITING = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED"}


def make_prod() -> Sandbox:
    """Make the project `prod`: some snapshots are unprotected, one of them is what a CI server built."""
    sandbox = Sandbox(
        project="shop", snapshots=26, protected=23, backups=3, latency_seconds=0.05, action_seconds=3
    )
    ci_server = {"id": 40_000_006, "name": "ci-1"}
    sandbox.add_snapshot(description="shop ci-1 build 4711", created_from=ci_server, labels={"env": "ci"})
    return sandbox


def make_staging() -> Sandbox:
    """Make the project `staging`."""
    return Sandbox(project="test", snapshots=12, protected=9, first_image_id=200_000_001, action_seconds=3)


def make_archive(now: datetime | None = None) -> Sandbox:
    """Make the project `archive`: a year of weekly snapshots of three servers, all protected."""
    sandbox = Sandbox(project="archive", snapshots=0, first_image_id=300_000_001, action_seconds=3)
    now = now or datetime.now(UTC)
    for age in range(_WEEKS, 0, -1):
        for number, name in enumerate(_ARCHIVED_SERVERS, 50_000_001):
            sandbox.add_snapshot(
                created=(now - timedelta(weeks=age) + timedelta(hours=1)).isoformat(),
                created_from={"id": number, "name": name},
                description=f"{name} weekly",
                protection={"delete": True, "rebuild": False},
            )
    sandbox.add_server(name="web-3", image=_snapshots(sandbox)[2])
    return sandbox


def save_project(name: str, sandbox: Sandbox) -> None:
    """Save the credentials block of a project."""
    block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
    block.save(name, overwrite=True)


def save_policy() -> None:
    """Save the policy that all runs follow, by which CI snapshots are exempt, and that of the archive."""
    for name, policy in ((DEFAULT, POLICY), (ARCHIVE, ARCHIVE_POLICY)):
        SnapshotPolicy(rules=policy.rules, timezone=policy.timezone).save(name, overwrite=True)


def audit() -> str:
    """Run an audit of all projects on the worker; return its state and message."""
    run = cast("FlowRun", run_deployment(_AUDIT, timeout=_RUN_SECONDS, poll_interval=1, as_subflow=False))
    return _describe(run)


def interfere(prod: Sandbox) -> None:
    """Do what another user does between two audits, so that the second one has findings."""
    snapshots = _snapshots(prod)
    prod.set_protection(snapshots[7], delete=False)
    prod.delete_image(snapshots[11])
    prod.add_snapshot(description="shop db-1 before migration", labels={"env": "prod"})


def start_pruning() -> UUID:
    """Start a run that prunes the archive; return its id.

    Without quarantine, which takes days, as a run may that waits for approval.
    """
    parameters = {
        "projects": [ARCHIVE],
        "policy": ARCHIVE,
        "dry_run": False,
        "quarantine_days": 0,
        "max_deletions": 20,
    }
    started = run_deployment(_PRUNE, parameters=parameters, timeout=0, as_subflow=False)
    return cast("FlowRun", started).id


def start_unprotecting(prod: Sandbox) -> UUID:
    """Start a run that removes protection; return its id."""
    parameters = {
        "project": PROD,
        "image_ids": _snapshots(prod)[:2],
        "reason": "db-1 and web-1 were moved to the new cluster, ticket 4711",
        "hours": 24,
    }
    started = run_deployment(_UNPROTECT, parameters=parameters, timeout=0, as_subflow=False)
    return cast("FlowRun", started).id


def wait_until_suspended(run_id: UUID) -> str:
    """Wait until a run waits for approval; return its state."""
    return _describe(_wait(run_id))


def _wait(run_id: UUID) -> FlowRun:
    deadline = time.monotonic() + _RUN_SECONDS
    with get_client(sync_client=True) as client:
        while True:
            run = client.read_flow_run(run_id)
            state = run.state.type.value if run.state else ""
            if state in _FINAL_OR_WAITING or time.monotonic() > deadline:
                return run
            time.sleep(0.5)


def _snapshots(sandbox: Sandbox) -> list[int]:
    return sorted(image["id"] for image in sandbox.images.values() if image["type"] == "snapshot")


def _describe(run: FlowRun) -> str:
    if not run.state or run.state.is_scheduled():
        return "not started"
    return f"{run.state.name}: {run.state.message}" if run.state.message else str(run.state.name)
