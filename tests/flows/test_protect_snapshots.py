"""The flow on the engine, against sandboxes over real HTTP."""

import asyncio
import pickle
from collections import Counter
from typing import Any

import pytest
from prefect.task_engine import AsyncTaskRunEngine

import flows._projects
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer
from sandbox import Fault, RequestRecord, Sandbox
from snapshot_protection.protection_report import SnapshotsNotProtectedError
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, artifacts_of, end_of, log_of, run, table_in, task_runs_of
from tests.support.protection_runs import operations, outcomes_of, report_of, unprotected


def image_id_of(record: RequestRecord) -> int:
    return int(record.path.split("/")[3])


async def run_until_it_waits(sandbox: Sandbox, **parameters: object) -> asyncio.Task[Run]:
    """Start a run, and return when it has begun to ask for its actions."""
    running = asyncio.create_task(run(protect_snapshots, projects=["prod"], **parameters))
    while not sandbox.calls("list_actions"):  # noqa: ASYNC110 - the sandbox notifies no one
        await asyncio.sleep(0.005)
    return running


@pytest.fixture
def big(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox(
        snapshots=60, protected=10, backups=3, system_images=30, latency_seconds=0.03, action_seconds=1
    )


async def test_every_snapshot_is_protected_with_the_least_requests(
    save_project: SaveProject, big: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HETZNER_CLOUD_POLL_INTERVAL_SECONDS")  # the real pace, not the tests'
    save_project("prod", big)
    todo = unprotected(big)
    others = {
        image_id: image["protection"] for image_id, image in big.images.items() if image["type"] != "snapshot"
    }

    done = await run(protect_snapshots, projects=["prod"])

    assert done.state.is_completed()
    assert (
        done.state.message
        == "60 of 60 snapshots protected in 1 project (50 newly protected, 10 already protected)"
    )
    assert Counter(outcomes_of(done).values()) == {"protected": 50, "already_protected": 10}
    assert not unprotected(big)
    assert {image_id: big.images[image_id]["protection"] for image_id in others} == others

    asked = operations(big.requests)
    polls = [record for record in big.requests if record.operation == "list_actions"]
    seconds = (big.requests[-1].finished or 0) - big.requests[0].started
    assert asked - Counter({"list_actions": len(polls)}) == {"list_images": 4, "change_image_protection": 50}
    assert len(polls) <= 2 * (2 * seconds + 1)  # two rounds a second, of two requests at most
    assert {image_id_of(record) for record in big.calls("change_image_protection")} == todo

    assert max(record.in_flight for record in big.requests) <= 10
    connections = {record.client_port for record in big.requests}  # more than the sandbox sees in flight,
    assert (
        len(connections) < len(big.requests) / 2
    )  # and new ones for those it closes while a machine is slow


@pytest.mark.slow
async def test_the_second_run_changes_nothing(save_project: SaveProject, big: Sandbox) -> None:
    save_project("prod", big)
    await run(protect_snapshots, projects=["prod"])
    before = len(big.requests)
    done = await run(protect_snapshots, projects=["prod"])
    assert done.state.is_completed()
    assert set(outcomes_of(done).values()) == {"already_protected"}
    assert operations(big.requests[before:]) == {"list_images": 2}


async def test_a_dry_run_changes_nothing_and_tells_what_it_would(
    save_project: SaveProject, big: Sandbox
) -> None:
    save_project("prod", big)
    done = await run(protect_snapshots, projects=["prod"], dry_run=True)
    assert done.state.is_completed()
    assert Counter(outcomes_of(done).values()) == {"would_protect": 50, "already_protected": 10}
    assert operations(big.requests) == {"list_images": 2}
    assert len(unprotected(big)) == 50


async def test_one_bad_snapshot_never_stops_the_others(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=12, creating=1)
    failing, deleted, endless, *_, creating = sorted(unprotected(sandbox))
    sandbox.faults.add(Fault(kind="action_error", image_ids=(failing,), code="action_failed", message="no"))
    sandbox.faults.add(Fault(kind="image_deleted", image_ids=(deleted,)))
    sandbox.faults.add(Fault(kind="action_never_ends", image_ids=(endless,)))
    save_project("prod", sandbox)

    done = await run(protect_snapshots, projects=["prod"], timeout_seconds=0.5)

    assert done.state.is_failed()
    outcomes = outcomes_of(done)
    assert {image_id: outcomes[image_id] for image_id in (failing, deleted, endless, creating)} == {
        failing: "failed",
        deleted: "deleted",
        endless: "unfinished",
        creating: "unfinished",
    }
    assert Counter(outcomes.values()) == {"protected": 8, "failed": 1, "deleted": 1, "unfinished": 2}
    assert unprotected(sandbox) == {failing, endless, creating}

    rows = {row["snapshot"]: row for row in table_in(await artifacts_of(done.record.id))}
    assert len(rows) == 12
    actions = {action["resources"][0]["id"]: action["id"] for action in sandbox.actions}
    assert (rows[failing]["code"], rows[failing]["action"]) == ("action_failed", actions[failing])
    assert (rows[endless]["code"], rows[endless]["action"]) == ("action_unfinished", actions[endless])
    assert (rows[creating]["code"], rows[creating]["action"]) == ("locked", "")
    assert (rows[deleted]["outcome"], rows[deleted]["code"]) == ("deleted", "not_found")
    message = done.state.message or ""
    assert f"prod/{failing} failed, action {actions[failing]}: its action failed: no" in message
    assert f"prod/{endless} unfinished, action {actions[endless]}: action still running (" in message
    assert f"prod/{creating} unfinished: " in message
    assert f"prod/{deleted} deleted: " in message
    assert message.endswith("Fix the cause and run again; protected snapshots are skipped.")


async def test_a_snapshot_deleted_during_the_run_is_deleted_and_no_failure(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3)
    victim = min(unprotected(sandbox))
    sandbox.faults.add(Fault(kind="image_deleted", image_ids=(victim,)))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert done.state.is_completed()
    assert outcomes_of(done)[victim] == "deleted"


async def test_an_action_that_succeeds_without_effect_is_a_failure(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    victim = min(unprotected(sandbox))
    sandbox.faults.add(Fault(kind="action_without_effect", image_ids=(victim,)))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    [outcome] = [outcome for outcome in report_of(done).snapshots if outcome.needs_attention]
    assert (outcome.image_id, outcome.outcome, outcome.code) == (victim, "failed", "not_protected")
    assert outcome.action_id is not None


async def test_a_lost_answer_is_no_lost_change(save_project: SaveProject, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind="drop_after", operation="change_image_protection"))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert done.state.is_completed()
    assert Counter(outcomes_of(done).values()) == {"protected": 4, "already_protected": 2}
    assert {outcome.code for outcome in report_of(done).snapshots if outcome.outcome == "protected"} == {
        "connection_lost"
    }


async def test_a_snapshot_that_cannot_be_verified_is_a_failure_with_its_action(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(kind="error", operation="list_images", status=503, after=1))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    troubled = [outcome for outcome in report_of(done).snapshots if outcome.needs_attention]
    assert {outcome.code for outcome in troubled} == {"unverified"}
    started = {outcome.action_id for outcome in troubled} - {None}
    assert started == {action["id"] for action in sandbox.actions}


async def test_a_run_is_not_completed_when_its_verification_failed_and_what_it_changed_is_gone(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=1)
    before, victim = sorted(sandbox.images)
    sandbox.faults.add(Fault(kind="image_deleted", image_ids=(victim,)))
    sandbox.faults.add(Fault(kind="error", operation="list_images", status=403, after=1))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert done.state.is_failed()
    assert outcomes_of(done) == {before: "failed", victim: "failed"}


async def test_a_snapshot_that_is_created_during_the_run_is_protected_too(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, latency_seconds=0.05, action_seconds=0.2)
    save_project("prod", sandbox)
    running = await run_until_it_waits(sandbox)
    added = sandbox.add_snapshot()
    done = await running
    assert done.state.is_completed()
    assert outcomes_of(done)[added] == "protected"
    assert not unprotected(sandbox)


async def test_a_snapshot_that_loses_its_protection_during_the_run_is_protected_again(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=4, protected=2, action_seconds=0.2)
    victim = min(sandbox.images)
    save_project("prod", sandbox)
    running = await run_until_it_waits(sandbox)
    sandbox.set_protection(victim, delete=False)
    done = await running
    assert done.state.is_completed()
    assert outcomes_of(done)[victim] == "protected"
    assert not unprotected(sandbox)


async def test_a_snapshot_is_not_gone_when_a_gateway_returned_404(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=1, action_seconds=0.2)
    relabelled, _ = sorted(sandbox.images)
    for image in sandbox.images.values():
        image["labels"] = {"env": "prod"}
    sandbox.faults.add(Fault(kind="html", operation="get_image", status=404))
    save_project("prod", sandbox)
    running = await run_until_it_waits(sandbox, label_selector="env=prod")
    sandbox.images[relabelled]["labels"] = {}
    done = await running
    assert done.state.is_failed()
    [error] = [outcome for outcome in report_of(done).snapshots if outcome.needs_attention]
    assert (error.image_id, error.code) == (relabelled, "unverified")


async def test_only_snapshots_with_the_labels_are_touched(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=0)
    chosen = sandbox.add_snapshot(labels={"env": "prod"})
    exempt = sandbox.add_snapshot(labels={"env": "prod", "protect": "no"})
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"], label_selector="env=prod, protect!=no")
    assert outcomes_of(done) == {chosen: "protected"}
    assert unprotected(sandbox) == {exempt}


async def test_several_projects_are_protected_and_a_dead_one_stops_none(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    first, second, dead = (make_sandbox(snapshots=3) for _ in range(3))
    save_project("first", first)
    save_project("second", second)
    save_project("dead", dead, token="revoked")

    done = await run(protect_snapshots)

    assert done.state.is_failed()
    assert not unprotected(first) | unprotected(second)
    assert [(project.project, len(project.snapshots)) for project in report_of(done).projects] == [
        ("dead", 0),
        ("first", 3),
        ("second", 3),
    ]
    assert "project 'dead' could not be read" in (done.state.message or "")
    assert len(dead.requests) == 1


async def test_an_invalid_token_costs_one_request_and_names_the_block(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox, token="revoked")
    done = await run(protect_snapshots, projects=["prod"])
    assert len(sandbox.requests) == 1
    assert "credentials block 'prod' is invalid" in (done.state.message or "")
    assert "Create one in Hetzner Console" in (done.state.message or "")


async def test_a_read_only_token_stops_at_the_first_rejection(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=40, read_only_token="reader", latency_seconds=0.02)
    save_project("prod", sandbox, token="reader")
    done = await run(protect_snapshots, projects=["prod"])
    refused = [record for record in sandbox.requests if record.method == "POST"]
    assert 1 <= len(refused) <= 10
    assert {record.status for record in refused} == {401}
    assert len(sandbox.requests) == 2 + len(refused)  # the two listings, and what was in flight at once
    assert Counter(outcomes_of(done).values()) == {"failed": 40}
    message = done.state.message or ""
    assert message.count("credentials block 'prod' is read-only") == 1
    assert "project 'prod' could not be changed: POST /images/" in message


async def test_a_change_whose_answer_was_lost_is_seen_when_the_token_was_refused_after_it(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=1)
    before, changed = sorted(sandbox.images)
    operation = "change_image_protection"
    sandbox.faults.add(Fault(kind="drop_after", operation=operation, times=1))
    sandbox.faults.add(Fault(kind="error", operation=operation, status=401, code="token_readonly"))
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert not unprotected(sandbox)
    assert outcomes_of(done) == {before: "already_protected", changed: "protected"}
    assert "project 'prod' could not be changed" in (done.state.message or "")
    assert done.state.is_failed()  # as its message says


@pytest.fixture
def twice(save_project: SaveProject, make_sandbox: MakeSandbox) -> Sandbox:
    """A project with the block `a`, whose token may only read, and the block `b`, whose token may write."""
    sandbox = make_sandbox(snapshots=4, read_only_token="reader", latency_seconds=0.02)
    save_project("a", sandbox, token="reader")
    save_project("b", sandbox)
    return sandbox


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_a_project_with_two_tokens_is_protected_whichever_goes_first(
    order: str, twice: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_CONCURRENT_PROJECTS", 1)
    done = await run(protect_snapshots, projects=[*order])
    assert not unprotected(twice)
    assert Counter(outcomes_of(done).values()) == {"protected": 4}
    first, second = list(order)
    message = done.state.message or ""
    assert message.startswith(
        f"4 of 4 snapshots protected in 1 project (4 newly protected, 0 already protected); "
        f"'{second}' is the same project as '{first}'"
    )
    is_rejected = order == "ab"
    assert done.state.is_failed() is is_rejected
    assert ("project 'a' could not be changed" in message) is is_rejected
    changed = [record for record in twice.requests if record.method == "POST" and record.status == 201]
    assert len(changed) == 4


@pytest.mark.parametrize("dry_run", [False, True])
async def test_two_tokens_of_one_project_change_each_snapshot_once_and_count_it_once(
    save_project: SaveProject, make_sandbox: MakeSandbox, *, dry_run: bool
) -> None:
    sandbox = make_sandbox(snapshots=4, latency_seconds=0.02)
    for name in ("a", "b"):
        save_project(name, sandbox)
    done = await run(protect_snapshots, projects=["a", "b"], dry_run=dry_run)
    assert done.state.is_completed()
    assert set(outcomes_of(done).values()) == {"would_protect" if dry_run else "protected"}
    assert operations(sandbox.requests)["change_image_protection"] == (0 if dry_run else 4)
    assert "4 snapshots" in (done.state.message or "")
    assert "in 1 project" in (done.state.message or "")
    assert len(table_in(await artifacts_of(done.record.id))) == 4


async def test_one_project_is_protected_and_a_name_that_is_not_saved_fails_the_run(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod", "nope"])
    assert not unprotected(sandbox)
    assert done.state.is_failed()
    message = done.state.message or ""
    assert message.startswith(
        "6 of 6 snapshots protected in 2 projects (4 newly protected, 2 already protected), "
        "1 project could not"
    )
    assert "project 'nope' could not be read: no saved credentials block has this name" in message


async def test_an_unreachable_endpoint_is_retried_and_named(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox()
    sandbox.endpoint = "http://127.0.0.1:9/v1"
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert done.state.is_failed()
    assert "127.0.0.1:9 is unreachable" in (done.state.message or "")
    log = await log_of(done.record.id, until=end_of(done))
    assert log.count("Retry") >= 5
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"projects": ["prdo"]}, "named 'prdo'. Available projects: 'prod'"),
        ({"label_selector": "env=prod,,"}, "label selector"),
        ({"label_selector": "=prod"}, "label selector"),
        ({"timeout_seconds": 0}, "timeout"),
        ({"timeout_seconds": -1}, "timeout"),
    ],
)
async def test_a_bad_parameter_is_refused_before_any_request(
    save_project: SaveProject, sandbox: Sandbox, parameters: dict[str, object], reason: str
) -> None:
    save_project("prod", sandbox)
    done = await run(protect_snapshots, **parameters)
    assert done.state.is_failed()
    assert isinstance(done.result, InvalidArgumentError)
    assert reason in (done.state.message or "")
    assert not sandbox.requests


async def test_a_variable_that_cannot_be_used_fails_the_run_once_and_before_any_request(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        save_project(name, sandbox)
    monkeypatch.setenv("HETZNER_CLOUD_REQUEST_TIMEOUT_SECONDS", "soon")
    done = await run(protect_snapshots)
    message = done.state.message or ""
    assert message.startswith("HETZNER_CLOUD_REQUEST_TIMEOUT_SECONDS must be a number above zero")
    assert not sandbox.requests


async def test_a_label_selector_that_matches_nothing_is_named(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    done = await run(protect_snapshots, label_selector="env=nowhere")
    assert done.state.is_completed()
    assert done.state.message == "No snapshot matches the label selector 'env=nowhere' in 1 project"


async def test_a_run_shows_what_it_did(save_project: SaveProject, sandbox: Sandbox) -> None:
    save_project("prod", sandbox)
    todo = sorted(unprotected(sandbox))
    done = await run(protect_snapshots, projects=["prod"])
    assert done.record.name == "protect-prod"
    names = {task_run.name for task_run in await task_runs_of(done.record.id, at_least=7)}
    assert names == {
        "list-snapshots-prod",
        *(f"protect-{image_id}-prod" for image_id in todo),
        "wait-for-4-actions-prod",
        "verify-snapshots-prod",
    }
    artifacts = {artifact.key or artifact.type: artifact for artifact in await artifacts_of(done.record.id)}
    assert set(artifacts) == {"snapshot-protection-outcomes", "snapshot-protection-summary", "progress"}
    assert artifacts["progress"].data == 100
    log = await log_of(done.record.id, until=end_of(done))
    for image_id in todo:
        assert f"prod/{image_id} protected, action " in log
    assert done.state.message
    assert f"Completed('{done.state.message}'" in log.splitlines()[-1]


async def test_one_error_of_many_snapshots_is_in_the_log_in_full_a_few_times_at_most(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=20, protected=0)
    text = "the image cannot be protected now"
    refused = Fault(kind="error", operation="change_image_protection", status=422, code="odd", message=text)
    sandbox.faults.add(refused)
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert "; 20 failed: POST " in (done.state.message or "")
    log = await log_of(done.record.id, until=end_of(done))
    lines = [line for line in log.splitlines() if text in line]
    of_task_run, report, outcome = lines
    assert of_task_run.startswith("Finished in state Failed(")
    assert report.startswith("20 failed: POST ")
    assert all(line.count(text) == 1 for line in lines)
    assert done.state.message
    assert done.state.message in outcome


async def test_a_run_has_a_bounded_number_of_task_runs_when_there_are_many_snapshots(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=230)
    save_project("prod", sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    assert Counter(outcomes_of(done).values()) == {"protected": 230}
    assert len(await task_runs_of(done.record.id, at_least=8)) == 5 + 3  # groups of 50; list, wait, verify


async def test_the_error_of_a_failed_run_carries_the_report(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(kind="error", operation="change_image_protection", status=403, code="forbidden"))
    save_project("prod", sandbox)
    with pytest.raises(SnapshotsNotProtectedError) as caught:
        await protect_snapshots(projects=["prod"])
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.report.counts == {"failed": 4, "already_protected": 2}


async def test_no_saved_block_is_an_error_that_says_what_to_do(engine: PrefectServer) -> None:
    with pytest.raises(InvalidArgumentError, match="Save one for each project"):
        await protect_snapshots()


async def test_many_projects_have_one_progress_bar_together(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_PROGRESS_BARS", 1)
    monkeypatch.setattr(flows._projects, "_MAX_CONCURRENT_PROJECTS", 1)
    for number in (1, 2, 3):
        save_project(f"project-{number}", make_sandbox(snapshots=2, first_image_id=number * 100))
    done = await run(protect_snapshots)
    assert set(outcomes_of(done).values()) == {"protected"}
    progress = [one for one in await artifacts_of(done.record.id) if one.type == "progress"]
    assert [(one.description, one.data) for one in progress] == [("3 projects", 100)]


async def test_of_many_projects_each_has_one_task_run_that_fails_where_a_snapshot_is_not_protected(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_PROGRESS_BARS", 1)
    sandboxes = [make_sandbox(snapshots=30, first_image_id=number * 100) for number in (1, 2)]
    for number, sandbox in enumerate(sandboxes, 1):
        save_project(f"project-{number}", sandbox)
    rejected = min(sandboxes[1].images)
    sandboxes[0].faults.add(Fault(kind="error", operation="list_images", status=503, times=2))
    sandboxes[1].faults.add(
        Fault(
            kind="error",
            operation="change_image_protection",
            status=403,
            code="forbidden",
            image_ids=[rejected],
        )
    )
    done = await run(protect_snapshots)
    outcomes = outcomes_of(done)
    assert outcomes.pop(rejected) == "failed"
    assert list(outcomes.values()) == ["protected"] * 59
    task_runs = {one.name: one.state for one in await task_runs_of(done.record.id, at_least=2)}
    assert {name: state.name for name, state in task_runs.items() if state} == {
        "protect-project-1": "Completed",
        "protect-project-2": "Failed",
    }
    assert "1 failed" in str(task_runs["protect-project-2"])


async def test_what_was_started_is_reported_when_the_task_run_of_a_project_breaks(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_PROGRESS_BARS", 0)
    save_project("prod", sandbox)

    async def broken(engine: AsyncTaskRunEngine[Any, Any], _result: object, **_options: object) -> None:
        raise RuntimeError("the engine broke")

    monkeypatch.setattr(AsyncTaskRunEngine, "handle_success", broken)
    done = await run(protect_snapshots, projects=["prod"])
    assert Counter(outcomes_of(done).values()) == {"protected": 4, "already_protected": 2}
