"""Every fault, at every place of all three flows, once and always: on the engine, over real HTTP."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

import flows._projects
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from playground.server import free_port
from sandbox import Sandbox
from tests.support.audit_runs import audit
from tests.support.audit_runs import report_of as audit_report_of
from tests.support.fault_expectations import Expected, expected_of
from tests.support.fault_matrix import BEFORE, TODO, Cell, cells
from tests.support.figures import RecordFigure
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, run
from tests.support.protection_runs import operations, outcomes_of, report_of, unprotected
from tests.support.stored_exemptions import load_exemptions
from tests.support.unprotect_matrix import UnprotectCell, expected_of_unprotect, unprotect_cells
from tests.support.unprotect_runs import outcomes_of as unprotect_outcomes_of

pytestmark = pytest.mark.e2e

_CELL_SECONDS = 150.0  # a busy Prefect server on sqlite was seen to take a minute for one artifact
_REQUESTS_AT_MOST = 150
_NEVER = 3_600.0
_PROJECTS = {"protect": "matrix", "audit": "matrix", "unprotect": "matrix-unprotect"}
Refuse = Callable[[Sandbox, Cell], list[str]]
_DO_THIS = "run it again", "run again", "rerun the audit", "run protect-snapshots"


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Send what a cell concerns to a port where no process listens; returns the list of what was."""

    def begin(sandbox: Sandbox, cell: Cell) -> list[str]:
        send, port = httpx.AsyncHTTPTransport.handle_async_request, free_port()
        concerned: list[str] = []
        refused: list[str] = []

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            if str(request.url).startswith(sandbox.endpoint) and operation_of(request) == cell.operation:
                concerned.append(cell.operation)
                turn = len(concerned) - cell.after
                if turn == 1 or (turn > 1 and cell.times == "always"):
                    refused.append(cell.operation)
                    request.url = request.url.copy_with(port=port)
            return await send(transport, request)

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        return refused

    return begin


def operation_of(request: httpx.Request) -> str:
    if request.method == "POST":
        return "change_image_protection"
    names = {
        "/v1/images": "list_images",
        "/v1/actions": "list_actions",
        "/v1/images/actions": "list_image_actions",
    }
    return names.get(request.url.path, "get_image")


@pytest.fixture(autouse=True)
def times_of_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS", "0.3")
    monkeypatch.setenv("HETZNER_CLOUD_POLL_MAX_INTERVAL_SECONDS", "0.1")


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(one, marks=pytest.mark.reliability if one.has_sibling else ())
        for one in (*cells(), *unprotect_cells())
    ],
    ids=str,
)
async def test_what_comes_of_a_fault_is_what_the_policy_says(
    cell: Cell,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    record_figure: RecordFigure,
) -> None:
    sandbox = _prepare(cell, make_sandbox, save_project, monkeypatch)
    figure = {"flow": cell.flow, "place": cell.place, "fault": cell.name, "times": cell.times}
    try:
        async with asyncio.timeout(_CELL_SECONDS):
            told = await _RUNS[cell.flow](cell, sandbox, refuse)
    except BaseException:
        record_figure("matrix", **figure, held=False)
        raise
    record_figure("matrix", **figure, held=True, told=told)


@pytest.mark.reliability
@pytest.mark.parametrize("cell", [one for one in cells() if one.flow == "protect"], ids=str)
async def test_it_is_the_same_in_the_one_task_run_that_a_project_of_many_has(
    cell: Cell,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flows._projects, "_MAX_PROGRESS_BARS", 0)
    sandbox = _prepare(cell, make_sandbox, save_project, monkeypatch)
    async with asyncio.timeout(_CELL_SECONDS):
        await _protect(cell, sandbox, refuse)


def _prepare(
    cell: Cell, make_sandbox: MakeSandbox, save_project: SaveProject, monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    if cell.name == "slower than the timeout":
        monkeypatch.setenv("HETZNER_CLOUD_REQUEST_TIMEOUT_SECONDS", "0.5")
    sandbox = make_sandbox(
        snapshots=TODO + BEFORE,
        protected=TODO if cell.flow == "unprotect" else BEFORE,
        backups=1,
        action_seconds=_NEVER if cell.ends_the_wait else 0.1,
        rate_limit=360_000,
    )
    save_project(_PROJECTS[cell.flow], sandbox)
    return sandbox


async def _protect(cell: Cell, sandbox: Sandbox, refuse: Refuse) -> str:
    refused = _begin(cell, sandbox, refuse)
    done = await run(protect_snapshots, projects=["matrix"], timeout_seconds=0.8)
    outcomes, report = outcomes_of(done), report_of(done)
    counts = Counter(outcomes.values())
    requests = operations(sandbox.requests) + Counter(refused)
    state = _judge(expected_of(cell), done, counts, requests)
    [project] = report.projects
    assert (project.error.code if project.error else "") == expected_of(cell).project_code
    assert {one.code for one in report.snapshots if one.code} <= expected_of(cell).codes
    if expected_of(cell).codes:
        assert any(one.code for one in report.snapshots)

    for image_id, outcome in outcomes.items():
        if outcome in {"protected", "already_protected"}:
            assert sandbox.images[image_id]["protection"]["delete"]
    snapshots = {image["id"] for image in sandbox.images.values() if image["type"] == "snapshot"}
    assert set(outcomes) == (set() if project in report.inaccessible else snapshots)
    started = {action["resources"][0]["id"]: action["id"] for action in sandbox.actions}
    for one in report.snapshots:
        if one.code in {"unverified", "action_unfinished"}:
            assert one.action_id == started.get(one.image_id)
    if cell.name == "422 with fields" and (cell.place != "poll") and done.state.is_failed():
        assert "delete: is not what it should be" in str(done.state.message)
    shown = ", ".join(f"{counts[name]} {name}" for name in sorted(counts) if name != "already_protected")
    return f"{state}, {shown or 'not read'}, {requests.total()}"


async def _audit(cell: Cell, sandbox: Sandbox, refuse: Refuse) -> str:
    await audit("matrix")
    unprotected = next(image["id"] for image in sandbox.images.values() if image["protection"]["delete"])
    action_id = sandbox.set_protection(unprotected, delete=False)
    before = len(sandbox.requests)
    refused = _begin(cell, sandbox, refuse)
    done = await run(audit_snapshot_protection, projects=["matrix"])
    report = audit_report_of(done)
    [project] = report.projects
    requests = operations(sandbox.requests[before:]) + Counter(refused)
    state = _judge(expected_of(cell), done, Counter(report.finding_counts), requests)

    assert len({one.image_id for one in project.findings}) == len(project.findings)
    for one in project.findings:
        protected = sandbox.images[one.image_id]["protection"]["delete"]
        assert protected is (one.finding == "protected")
    if cell.place == "list":
        assert (project.error.code if project.error else "") == expected_of(cell).project_code
    evidence = [one.evidence for one in project.findings if one.protection_removed]
    if cell.place == "evidence" and expected_of(cell).project_code:
        assert (evidence, expected_of(cell).project_code in project.note) == ([""], True)
        return f"{state}, without evidence, {requests.total()}"
    assert [f"action {action_id}" in told for told in evidence] == ([True] if project.findings else [])
    return f"{state}, {'evidence found' if project.findings else 'not read'}, {requests.total()}"


async def _unprotect(cell: Cell, sandbox: Sandbox, refuse: Refuse) -> str:
    assert isinstance(cell, UnprotectCell)
    expected = expected_of_unprotect(cell)
    image_ids = [image["id"] for image in sandbox.images.values() if image["type"] == "snapshot"]
    refused = _begin(cell, sandbox, refuse)
    parameters = {"project": _PROJECTS["unprotect"], "image_ids": image_ids, "reason": "the fault matrix"}
    done = await run(unprotect_snapshots, **parameters, approval=False, timeout_seconds=0.8)
    outcomes = unprotect_outcomes_of(done)
    counts = Counter(one.outcome for one in outcomes)
    requests = operations(sandbox.requests) + Counter(refused)
    state = _judge(expected, done, Counter[str](counts), requests)
    if not outcomes:
        assert done.result.code == expected.project_code
        assert unprotected(sandbox) == set(image_ids[TODO:])
        return f"{state}, not read, {requests.total()}"

    assert [one.snapshot.image_id for one in outcomes] == image_ids
    assert {one.error.code for one in outcomes if one.error.code} <= expected.codes
    if expected.codes:
        assert any(one.error.code for one in outcomes)
    for one in outcomes:
        if one.outcome in {"unprotected", "already_unprotected"}:
            assert one.snapshot.image_id in unprotected(sandbox)
        elif one.outcome != "deleted" and one.error.code != "unverified":
            assert one.snapshot.image_id not in unprotected(sandbox)
    if any(one.outcome != "deleted" for one in outcomes):
        exempt = await load_exemptions(_PROJECTS["unprotect"])
        assert unprotected(sandbox) <= set(exempt) | {
            one.snapshot.image_id for one in outcomes if one.outcome == "deleted"
        }
    shown = ", ".join(f"{counts[name]} {name}" for name in sorted(counts) if name != "already_unprotected")
    return f"{state}, {shown}, {requests.total()}"


_RUNS = {"protect": _protect, "audit": _audit, "unprotect": _unprotect}


def _begin(cell: Cell, sandbox: Sandbox, refuse: Refuse) -> list[str]:
    if cell.fault is None:
        return refuse(sandbox, cell)
    sandbox.faults.add(cell.fault)
    return []


def _judge(expected: Expected, done: Run, outcomes: Counter[str], requests: Counter[str]) -> str:
    state = done.state.type.value
    assert expected.fits(outcomes, requests), (outcomes, requests, expected)
    assert state == expected.state, done.state.message
    assert requests.total() <= _REQUESTS_AT_MOST
    if not done.state.is_completed():
        assert any(what in str(done.state.message).lower() for what in _DO_THIS), done.state.message
    return state.capitalize()
