"""When an audit saves its baseline."""

from typing import Any

import pytest

import reporting.artifacts
from flows.audit_snapshot_protection import audit_snapshot_protection
from sandbox import Sandbox
from tests.support.fixtures import SaveProject
from tests.support.flow_runs import artifacts_of, log_of, run


async def test_an_audit_saves_no_baseline_when_its_summary_cannot_be_published(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("audit-unpublished", sandbox)

    async def reject(*_: Any, **__: Any) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(reporting.artifacts, "acreate_markdown_artifact", reject)
    done = await run(audit_snapshot_protection, projects=["audit-unpublished"])
    assert done.state.is_completed()
    await log_of(done.record.id, until="The report could not be published: ConnectionError: no server")
    assert [one.key for one in await artifacts_of(done.record.id)] == ["audited-snapshots-audit-unpublished"]
