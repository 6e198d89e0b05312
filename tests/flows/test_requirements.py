"""Policies and exemptions in protection runs on the engine: what is exempt is sent no request."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta, tzinfo
from typing import Self
from uuid import uuid4

import pytest
from pydantic import SecretStr

import flows._projects
from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from blocks.snapshot_policy import SnapshotPolicy
from flows._requirements import RunRequirements
from flows.protect_on_workers import protect_on_workers
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer
from records.exemptions import StoredExemptions
from sandbox import Sandbox
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, artifacts_of, run, table_in
from tests.support.protection_runs import outcomes_of, report_of, unprotected
from tests.support.stored_exemptions import store_exemptions, store_unreadable_exemptions

LAB = {"env": "lab"}
RULES = [Rule(name="lab", label_selector="env=lab", protect=False)]
DIGEST = Policy(rules=RULES).digest[:12]


@pytest.fixture
def name() -> str:
    """A project's name: exemptions of an earlier test are another project's."""
    return f"exempt-{uuid4().hex[:8]}"


@pytest.fixture
async def policy(engine: PrefectServer) -> AsyncIterator[str]:
    """A saved policy that exempts what is labelled env=lab."""
    saved = f"policy-{uuid4().hex[:8]}"
    await SnapshotPolicy(rules=RULES).asave(saved)
    yield saved
    await SnapshotPolicy.adelete(saved)


def requested(sandbox: Sandbox) -> list[int]:
    """The ids of the snapshots for which a change was requested."""
    return [int(call.path.split("/")[3]) for call in sandbox.calls("change_image_protection")]


async def run_until_it_waits(sandbox: Sandbox, **parameters: object) -> asyncio.Task[Run]:
    running = asyncio.create_task(run(protect_snapshots, **parameters))
    while not sandbox.calls("list_actions"):  # noqa: ASYNC110 - the sandbox notifies no one
        await asyncio.sleep(0.005)
    return running


async def summary_of(done: Run) -> str:
    [summary] = [one for one in await artifacts_of(done.record.id) if one.type == "markdown"]
    return str(summary.data)


async def test_a_rule_exempts_a_snapshot_and_the_report_names_rule_and_policy(
    save_project: SaveProject, make_sandbox: MakeSandbox, name: str, policy: str
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=1)
    lab = sandbox.add_snapshot(labels=LAB)
    lab_protected = sandbox.add_snapshot(labels=LAB, protection={"delete": True})
    save_project(name, sandbox)

    done = await run(protect_snapshots, projects=[name], policy=policy)

    assert done.state.is_completed()
    assert done.state.message == (
        f"4 of 4 snapshots protected in 1 project (2 newly protected, 2 already protected), "
        f"1 exempt; policy '{policy}' ({DIGEST})"
    )
    assert outcomes_of(done)[lab] == "exempt"
    assert outcomes_of(done)[lab_protected] == "already_protected"
    assert lab not in requested(sandbox)
    rows = {row["snapshot"]: row for row in table_in(await artifacts_of(done.record.id))}
    assert (rows[lab]["outcome"], rows[lab]["message"]) == ("exempt", "rule 'lab'")
    summary = await summary_of(done)
    assert "3 matched no rule" in summary
    assert "rule 'lab'" in summary


@pytest.mark.parametrize(
    ("hours", "dry_run"), [(24, False), (-1, False), (24, True)], ids=["unexpired", "expired", "dry run"]
)
async def test_an_exemption_exempts_a_snapshot_until_it_expires(
    save_project: SaveProject, sandbox: Sandbox, name: str, hours: float, *, dry_run: bool
) -> None:
    save_project(name, sandbox)
    exempt, *others = sorted(unprotected(sandbox))
    await store_exemptions(name, exempt, hours=hours)

    done = await run(protect_snapshots, projects=[name], dry_run=dry_run)

    assert done.state.is_completed()
    protected = "would_protect" if dry_run else "protected"
    assert outcomes_of(done)[exempt] == ("exempt" if hours > 0 else protected)
    assert {outcomes_of(done)[one] for one in others} == {protected}
    assert (exempt in requested(sandbox)) is (hours < 0 and not dry_run)
    assert ("approved by on call" in await summary_of(done)) is (hours > 0)
    assert "policy" not in str(done.state.message)
    assert "Policy 'built" in await summary_of(done)


async def test_an_exemption_that_expired_before_the_run_was_due_is_none_where_the_clock_is_behind(
    save_project: SaveProject, sandbox: Sandbox, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What protects a snapshot again is scheduled once, by the server's clock."""

    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) - timedelta(hours=2)

    save_project(name, sandbox)
    expired, *_ = sorted(unprotected(sandbox))
    await store_exemptions(name, expired, hours=-1)
    monkeypatch.setattr("flows._requirements.datetime", Behind)
    done = await run(protect_snapshots, projects=[name])
    assert outcomes_of(done)[expired] == "protected"


async def test_an_exemption_of_the_environment_s_project_is_honoured(
    engine: PrefectServer, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(snapshots=2, first_image_id=uuid4().int % 10**12)
    exempt, other = sorted(unprotected(sandbox))
    await store_exemptions("environment", exempt)
    monkeypatch.setenv("HCLOUD_TOKEN", sandbox.token)
    monkeypatch.setenv("HCLOUD_ENDPOINT", sandbox.endpoint)
    done = await run(protect_snapshots, projects=["environment"])
    assert outcomes_of(done) == {exempt: "exempt", other: "protected"}


async def test_an_exemption_that_is_granted_during_the_run_is_honoured(
    save_project: SaveProject, make_sandbox: MakeSandbox, name: str
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=1, action_seconds=0.3)
    [before] = set(sandbox.images) - unprotected(sandbox)
    save_project(name, sandbox)
    running = await run_until_it_waits(sandbox, projects=[name])
    await store_exemptions(name, before)
    sandbox.set_protection(before, delete=False)
    done = await running
    assert done.state.is_completed()
    assert outcomes_of(done)[before] == "exempt"
    assert before not in requested(sandbox)
    assert unprotected(sandbox) == {before}


async def test_a_snapshot_that_no_longer_matches_its_rule_is_protected_in_the_same_run(
    save_project: SaveProject, make_sandbox: MakeSandbox, name: str, policy: str
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=0.3)
    lab = sandbox.add_snapshot(labels=LAB)
    save_project(name, sandbox)
    running = await run_until_it_waits(sandbox, projects=[name], policy=policy)
    sandbox.images[lab]["labels"] = {}
    done = await running
    assert set(outcomes_of(done).values()) == {"protected"}
    assert not unprotected(sandbox)


async def test_nothing_is_changed_when_the_exemptions_cannot_be_read(
    save_project: SaveProject, make_sandbox: MakeSandbox, name: str
) -> None:
    sandbox, other = make_sandbox(snapshots=2), make_sandbox(snapshots=2, first_image_id=300_000_001)
    save_project(name, sandbox)
    save_project(f"{name}-2", other)
    await store_unreadable_exemptions(name)
    done = await run(protect_snapshots, projects=[name, f"{name}-2"])
    assert done.state.is_failed()
    assert not requested(sandbox)
    assert not unprotected(other)
    [failed, _] = report_of(done).projects
    assert failed.error
    assert failed.error.code == "unreadable_exemptions"
    assert f"The artifact snapshot-exemptions-{name} has a version that cannot be read" in str(
        done.state.message
    )


async def test_what_was_started_is_reported_when_the_exemptions_cannot_be_read_before_the_next_round(
    save_project: SaveProject, make_sandbox: MakeSandbox, name: str
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=1, action_seconds=0.3)
    [before] = set(sandbox.images) - unprotected(sandbox)
    started = unprotected(sandbox)
    save_project(name, sandbox)
    running = await run_until_it_waits(sandbox, projects=[name])
    await store_unreadable_exemptions(name)
    sandbox.set_protection(before, delete=False)
    done = await running
    assert done.state.is_failed()
    assert outcomes_of(done) == dict.fromkeys(started, "protected") | {before: "failed"}
    assert before not in requested(sandbox)
    [project] = report_of(done).projects
    assert project.error
    assert project.error.code == "unreadable_exemptions"


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_an_exemption_under_either_name_of_a_project_with_two_tokens_is_honoured(
    order: str,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_CONCURRENT_PROJECTS", 1)
    sandbox = make_sandbox(snapshots=3)
    names = [f"{name}-{each}" for each in order]
    for each in names:
        save_project(each, sandbox)
    exempt = min(unprotected(sandbox))
    await store_exemptions(f"{name}-a", exempt)
    done = await run(protect_snapshots, projects=names)
    assert done.state.is_completed()
    assert outcomes_of(done)[exempt] == "exempt"
    assert unprotected(sandbox) == {exempt}
    assert len(table_in(await artifacts_of(done.record.id))) == 3


@pytest.mark.parametrize("other", ["https://api.hetzner.cloud/v1", "http://127.0.0.1:1/v1"])
async def test_an_exemption_of_another_project_holds_only_at_the_same_endpoint(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Elsewhere, the same id is another snapshot's."""
    read: list[Collection[str]] = []

    async def read_stored(names: Collection[str], **_given: object) -> StoredExemptions:
        read.append(names)
        await asyncio.sleep(0)
        return StoredExemptions({})

    endpoints = {"a": "https://api.hetzner.cloud/v1", "b": other}
    projects = [
        Project(name, HetznerCloudCredentials(token=SecretStr("not-a-token"), endpoint=endpoint))
        for name, endpoint in endpoints.items()
    ]
    monkeypatch.setattr("flows._requirements.read_exemptions", read_stored)
    requirements = RunRequirements.of(NamedPolicy(), projects)
    await asyncio.gather(*(requirements.read("b", normalize_endpoint(other)) for _ in range(100)))
    # By the first who asked, and once more for all who have asked since.
    assert read == [{"a", "b"} if other == endpoints["a"] else {"b"}] * 2


@pytest.mark.parametrize(
    ("flow", "policy_name", "reason"),
    [
        (protect_snapshots, "A policy", "A policy's name has"),
        (protect_on_workers, "no-such-policy", "No snapshot policy is named 'no-such-policy'"),
    ],
)
async def test_a_policy_that_is_not_saved_fails_the_run_before_any_request(
    flow: object, policy_name: str, reason: str, save_project: SaveProject, sandbox: Sandbox, name: str
) -> None:
    save_project(name, sandbox)
    done = await run(flow, projects=[name], policy=policy_name)  # type: ignore[arg-type]
    assert done.state.is_failed()
    assert isinstance(done.result, InvalidArgumentError)
    assert reason in str(done.state.message)
    assert not sandbox.requests


async def test_a_policy_that_is_invalid_fails_the_run_before_any_request_and_its_rule_is_named(
    save_project: SaveProject, sandbox: Sandbox, name: str, policy: str
) -> None:
    invalid = RULES[0].model_copy(update={"label_selector": "env=,,"})
    await SnapshotPolicy.model_construct(rules=[invalid], timezone="UTC").asave(policy, overwrite=True)
    save_project(name, sandbox)
    done = await run(protect_snapshots, projects=[name], policy=policy)
    assert done.state.is_failed()
    assert f"The snapshot policy '{policy}' cannot be used." in str(done.state.message)
    assert "rule 'lab'" in str(done.state.message)
    assert not sandbox.requests
