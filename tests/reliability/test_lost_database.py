"""The whole Prefect database is lost: no policy or exemption is left, so everything is protected again."""

import asyncio
from pathlib import Path

import pytest
from prefect.artifacts import Artifact
from prefect.events.worker import EventsWorker
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from blocks.snapshot_policy import SnapshotPolicy
from playground.server import prefect_server
from sandbox import Sandbox
from snapshot_protection.policy import NamedPolicy, Rule
from tests.support.fixtures import MakeSandbox
from tests.support.migrated_database import make_home
from tests.support.protection_runs import unprotected
from tests.support.shell import protect
from tests.support.stored_exemptions import store_exemptions

pytestmark = pytest.mark.reliability

LAB = Rule(name="lab", label_selector="env=lab", protect=False)


async def protect_on_a_new_server(
    home: Path, sandbox: Sandbox, *, rules: list[Rule], exempt: list[int]
) -> tuple[str, str]:
    """Protect from the shell: nothing of this process outlives the server. Return message and summary."""
    with prefect_server(make_home(home)) as server, temporary_settings(server.settings):
        token = SecretStr(sandbox.token)
        await HetznerCloudCredentials(token=token, endpoint=sandbox.endpoint).asave("prod")
        if rules:
            await SnapshotPolicy(rules=rules).asave("default")
        if exempt:
            await store_exemptions("prod", *exempt)
        done = await asyncio.to_thread(protect, server)
        assert done.returncode == 0, done.stderr
        summary = await Artifact.aget("snapshot-protection-summary")
        assert summary
        await asyncio.to_thread(EventsWorker.drain_all)  # of the saved blocks, while there is a server
        return done.stdout.splitlines()[-1], str(summary.data)


async def test_everything_is_protected_by_the_built_in_policy_when_the_database_was_lost(
    make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=3)
    approved = min(unprotected(sandbox))
    lab = sandbox.add_snapshot(labels={"env": "lab"})
    before, _ = await protect_on_a_new_server(tmp_path / "before", sandbox, rules=[LAB], exempt=[approved])
    assert unprotected(sandbox) == {approved, lab}
    assert (
        "2 of 2 snapshots protected in 1 project (2 newly protected, 0 already protected), "
        "2 exempt; policy 'default'" in before
    )

    after, summary = await protect_on_a_new_server(tmp_path / "after", sandbox, rules=[], exempt=[])

    assert (
        after == "Completed: 4 of 4 snapshots protected in 1 project (2 newly protected, 2 already protected)"
    )
    assert not unprotected(sandbox)
    built_in = NamedPolicy().policy.digest[:12]
    assert f"Policy 'built\\-in' \\({built_in}\\), without rules." in summary
