"""Policies and approved exemptions in audits, on the engine, against sandboxes over real HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from blocks.snapshot_policy import SnapshotPolicy
from hetzner_cloud.errors import InvalidArgumentError
from records.exemptions import save_exemptions
from sandbox import Sandbox
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from snapshot_protection.policy import Rule
from tests.support.audit_runs import audit, report_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, artifacts_of

SCRATCH = Rule(name="scratch", label_selector="scratch", protect=False)


def findings(done: Run) -> dict[int, str]:
    return {one.image_id: one.finding for one in report_of(done).projects[0].findings}


async def save_policy(name: str, timezone: str = "UTC") -> str:
    await SnapshotPolicy(rules=[SCRATCH], timezone=timezone).asave(name, overwrite=True)
    return name


@flow(retries=0, retry_delay_seconds=0)
async def approve(project: str, image_id: int, hours: float) -> None:
    one = Exemption(
        image_id=image_id,
        until=datetime.now(UTC) + timedelta(hours=hours),
        reason="moved to the new cluster",
        approved_by="on call",
        flow_run_id=uuid4(),
    )
    await save_exemptions(ExemptionRecord(project=project, exemptions=(one,)))


async def summary_of(done: Run) -> str:
    [page] = [one for one in await artifacts_of(done.record.id) if one.key == "snapshot-audit-summary"]
    return str(page.data)


async def test_a_rule_that_is_made_to_match_excuses_no_removal_until_the_policy_changes(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=3)
    save_project("policy-relabel", sandbox)
    policy = await save_policy("relabel")
    first, second, third = sorted(sandbox.images)
    sandbox.images[first]["labels"] = {"scratch": ""}
    await audit("policy-relabel", policy=policy)
    sandbox.images[second]["labels"] = {"scratch": ""}
    for image_id in (first, second):
        sandbox.set_protection(image_id, delete=False)

    done = await audit("policy-relabel", policy=policy)
    assert findings(done) == {second: "newly_unprotected", first: "exempt", third: "protected"}
    assert f"policy-relabel/{second} newly unprotected, now matches rule 'scratch': action" in str(
        done.state.message
    )
    assert findings(await audit("policy-relabel", policy=policy))[second] == "newly_unprotected"

    await save_policy("relabel", "Europe/Berlin")
    done = await audit("policy-relabel", policy=policy, fail_on_unprotected=True)
    assert done.state.is_completed()
    assert findings(done) == {first: "exempt", second: "exempt", third: "protected"}
    assert "changed since the audit of " in str(done.state.message)
    assert "1 snapshot matched no rule" in str(done.state.message)
    assert (await summary_of(done)).startswith("## 🟢 1 of 1 snapshot protected in 1 project, 2 exempt\n")
    again = await audit("policy-relabel", policy=policy)
    assert "changed since" not in str(again.state.message)


async def test_an_approved_exemption_is_listed_until_it_expires_and_excuses_the_deletion(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=3)
    save_project("policy-approved", sandbox)
    await audit("policy-approved")
    valid, expired, deleted = sorted(sandbox.images)
    for image_id, hours in ((valid, 1), (expired, -0.01), (deleted, 1)):
        await approve("policy-approved", image_id, hours)
        sandbox.set_protection(image_id, delete=False)
    sandbox.delete_image(deleted)
    done = await audit("policy-approved")
    assert findings(done)[valid] == "exempt"
    assert findings(done)[deleted] == "missing_exempt"
    assert "moved to the new cluster, approved by on call \\(as stated\\)" in await summary_of(done)
    # it expired before the last audit, which saw the snapshot protected
    assert findings(done)[expired] == "newly_unprotected"


async def test_an_expired_exemption_is_red_and_counted(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1, protected=0)
    save_project("policy-expired", sandbox)
    [image_id] = sandbox.images
    await approve("policy-expired", image_id, -1e-6)
    done = await audit("policy-expired", fail_on_unprotected=True)
    assert done.state.is_failed()
    assert findings(done) == {image_id: "exemption_expired"}
    assert f"policy-expired/{image_id} exemption expired, expired 20" in str(done.state.message)


async def test_exemptions_that_cannot_be_read_are_an_error_of_their_project_alone(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    save_project("policy-unread", make_sandbox(snapshots=2, protected=1))
    save_project("policy-read", make_sandbox(snapshots=2, protected=2, first_image_id=7))
    async with get_client() as client:
        key = "snapshot-exemptions-policy-unread"
        await client.create_artifact(ArtifactCreate(key=key, type="markdown", data="scribbled over"))
    done = await audit("policy-unread", "policy-read")
    assert done.state.is_failed()
    unread, read = report_of(done).projects
    assert (bool(unread.error), len(unread.findings), len(read.findings)) == (True, 0, 2)
    assert "snapshot-exemptions-policy-unread" in str(done.state.message)


@pytest.mark.parametrize("policy", ["nowhere", "No Name"])
async def test_a_policy_that_does_not_load_fails_the_audit_before_any_request(
    save_project: SaveProject, sandbox: Sandbox, policy: str
) -> None:
    save_project("policy-missing", sandbox)
    done = await audit("policy-missing", policy=policy)
    assert done.state.is_failed()
    assert isinstance(done.result, InvalidArgumentError)
    assert not sandbox.requests
