"""Both flows on the engine, with snapshots and actions that are not as documented: each costs only itself."""

import json
from typing import Any

import pytest

from flows.protect_snapshots import protect_snapshots
from sandbox import Fault, Sandbox
from sandbox import operations as operations_of_sandbox
from tests.support.audit_runs import audit
from tests.support.audit_runs import report_of as audit_report_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, log_of, run, table_in
from tests.support.protection_runs import operations, outcomes_of, report_of, unprotected

INVALID = json.dumps({"action": {"id": 0, "status": "running", "command": "change_protection"}})


def corrupt(sandbox: Sandbox, image_id: int, **fields: object) -> None:
    sandbox.images[image_id] |= fields


async def test_a_run_protects_all_others_and_names_what_cannot_be_read(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=60)  # two pages
    null, typeless, nameless, hostile, *others = sorted(sandbox.images)
    corrupt(sandbox, null, protection=None)
    corrupt(sandbox, typeless, type="snapshot", protection={"delete": "no"})
    corrupt(sandbox, nameless, id=0)
    corrupt(
        sandbox,
        hostile,
        description="\0\x1b[2J\u202e\N{GRINNING FACE} | <b>",
        created="2026-99-99",
        labels={"a": 1},
    )
    save_project("unreadable", sandbox)

    done = await run(protect_snapshots, projects=["unreadable"])

    assert done.state.is_failed()
    outcomes = outcomes_of(done)
    assert {one: outcomes.pop(one) for one in (null, typeless)} == {null: "failed", typeless: "failed"}
    assert outcomes == dict.fromkeys([hostile, *others], "protected")
    assert operations(sandbox.requests)["change_image_protection"] == len(outcomes)
    message = str(done.state.message)
    assert "57 of 59 snapshots protected" in message
    assert f"unreadable/{null} failed: could not be read: protection: " in message
    assert (
        "1 without a valid id could not be read; project 'unreadable': could not be read: an entry" in message
    )
    assert "on page 2: id: " in message  # sorted by descending id
    assert message.isprintable()
    rows = {row["snapshot"]: row for row in table_in(await artifacts_of(done.record.id))}
    assert (rows[null]["outcome"], rows[null]["code"]) == ("failed", "unreadable")
    await log_of(done.record.id, until=f"unreadable/{null} failed: could not be read: protection: ")
    assert report_of(done).projects[0].error is None


async def test_a_run_sees_what_can_be_read_again_by_the_verification(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=4)
    images = [json.loads(json.dumps(image)) for image in sandbox.images.values()]
    images[0]["protection"] = "@"
    body = json.dumps({"images": images}).replace('"@"', '{"delete": "\\ud83d"}')
    sandbox.faults.add(Fault(kind="wrong_shape", operation="list_images", body=body, times=1))
    save_project("once", sandbox)
    done = await run(protect_snapshots, projects=["once"])
    assert done.state.is_completed()
    assert set(outcomes_of(done).values()) == {"protected"}
    assert not unprotected(sandbox)


async def test_one_invalid_action_leaves_no_other_unfinished(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(snapshots=4, action_seconds=0.1)
    started, polled, *others = sorted(sandbox.images)
    sandbox.faults.add(
        Fault(
            kind="wrong_shape",
            operation="change_image_protection",
            image_ids=frozenset({started}),
            status=201,
            body=INVALID,
        )
    )
    as_json = operations_of_sandbox._as_json

    def corrupted(*arguments: Any) -> list[dict[str, Any]]:
        actions = as_json(*arguments)
        return [one | ({"status": None} if one["resources"][0]["id"] == polled else {}) for one in actions]

    monkeypatch.setattr(operations_of_sandbox, "_as_json", corrupted)
    save_project("actions", sandbox)

    done = await run(protect_snapshots, projects=["actions"], timeout_seconds=60)

    assert done.state.is_completed()
    outcomes = {one.image_id: one for one in report_of(done).snapshots}
    assert {one.outcome for one in outcomes.values()} == {"protected"}
    assert [outcomes[one].code for one in others] == ["", ""]
    assert outcomes[started].code == "invalid_response"
    assert "action.id" in outcomes[started].message
    assert outcomes[polled].code == "action_unfinished"
    assert "could not be read" in outcomes[polled].message
    assert outcomes[polled].action_id


async def test_an_audit_reports_all_others_and_keeps_its_baseline_of_what_cannot_be_read(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=5, protected=5)
    save_project("audit-unreadable", sandbox)
    assert (await audit("audit-unreadable")).state.is_completed()
    null, nameless, lost, *_ = sorted(sandbox.images)
    corrupt(sandbox, null, protection=None)
    sandbox.set_protection(lost, delete=False)

    second = await audit("audit-unreadable")

    assert second.state.is_failed()
    message = str(second.state.message)
    assert message.startswith(
        "3 of 5 snapshots protected in 1 project, 1 unprotected (1 new), 1 could not be read"
    )
    assert f"audit-unreadable/{null} could not be read: protection: " in message
    assert f"audit-unreadable/{lost} newly unprotected: action " in message
    found = {one.image_id: one.finding for one in audit_report_of(second).projects[0].findings}
    assert (found[null], found[lost]) == ("unreadable", "newly_unprotected")

    corrupt(sandbox, null, protection={"delete": False})
    corrupt(sandbox, nameless, id=0)
    third = await audit("audit-unreadable")

    assert third.state.is_failed()
    found = {one.image_id: one.finding for one in audit_report_of(third).projects[0].findings}
    assert (found[null], found[nameless]) == (
        "newly_unprotected",
        "unreadable",
    )  # both were known as protected
    assert "could not be read: an entry without a valid id on page 1: id: " in str(third.state.message)

    corrupt(sandbox, nameless, id=nameless)
    fourth = await audit("audit-unreadable")
    assert fourth.state.is_completed()
    found = {one.image_id: one.finding for one in audit_report_of(fourth).projects[0].findings}
    assert found[nameless] == "protected"
