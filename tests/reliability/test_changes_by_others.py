"""Other users change snapshots at each step of a run: outcomes say what the sandbox says."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import sandbox.app
from flows.protect_snapshots import protect_snapshots
from sandbox import Fault, serve
from snapshot_protection.protection_report import ProtectionReport
from tests.support.changes_by_others import (
    MOMENTS,
    SELECTOR,
    ByOthers,
    Step,
    WatchedSandbox,
    changes_at,
    untruths,
    watching_operations,
)
from tests.support.fault_matrix import FAULT_SPECS
from tests.support.figures import RecordFigure, example_of
from tests.support.fixtures import SaveProject
from tests.support.flow_runs import Run, run
from tests.support.protection_runs import report_of

pytestmark = pytest.mark.e2e

ALL = [one for moment in MOMENTS for one in changes_at(*moment)]
_A_GET = ByOthers(
    "poll", 1, "relabel", "protected before"
)  # what a listing does not show is looked up by its id
_FAULTS = {
    "change_image_protection": ["429", "500", "502, HTML", "503", "409 conflict", "423 locked", "404", "403"],
    "list_actions": ["429", "500", "404", "reset before the response", "truncated JSON"],
    "list_images": ["429", "500", "503", "reset before the response", "409 conflict"],
    "get_image": ["500", "502, HTML", "403", "reset before the response"],
}


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.app, "OPERATIONS", watching_operations())
    monkeypatch.setenv("HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS", "0.3")


@pytest.mark.parametrize(("step", "nth"), MOMENTS)
async def test_an_outcome_says_what_was_seen_last_whatever_others_change(
    step: Step, nth: int, save_project: SaveProject, record_figure: RecordFigure
) -> None:
    changes = list(changes_at(step, nth))
    extra = [_A_GET] if step == "get" else []
    cells = {f"cell-{number:02}": [one, *extra] for number, one in enumerate(changes)}
    with sandboxes(cells, save_project) as served:
        done = await run(protect_snapshots, projects=list(cells), label_selector=SELECTOR, timeout_seconds=20)
    report = report_of(done)
    early = (step, nth) not in {("verify", 2), ("get", 1)}
    found = {
        str(cells[project.project][0]): untrue
        for project in report.projects
        if (untrue := untruths(project, served[project.project], changes_end_before_last_look=early))
    }
    assert {one for sandbox in served.values() for one in sandbox.made} >= set(changes)
    for one in changes:
        record_figure(
            "others", moment=f"{step} {nth}", change=one.change, target=one.target, held=str(one) not in found
        )
    assert not found
    assert_state_follows(done, report)
    if early:
        for project in report.projects:
            assert_what_was_unprotected_is_protected_again(project.project, report, served, cells)


def assert_state_follows(done: Run, report: ProtectionReport) -> None:
    assert done.state.is_completed() is not any(one.needs_attention for one in report.snapshots)


def assert_what_was_unprotected_is_protected_again(
    name: str,
    report: ProtectionReport,
    served: Mapping[str, WatchedSandbox],
    cells: Mapping[str, list[ByOthers]],
) -> None:
    one = cells[name][0]
    outcomes = {each.image_id: each.outcome for each in report.snapshots if each.project == name}
    if one.change == "unprotect":
        assert outcomes[served[name].id_of(one.target)] == "protected", str(one)
    if one.change == "unprotect and relabel" and one.step != "list" and one.target != "to be changed":
        assert outcomes[served[name].id_of(one.target)] == "failed", str(one)


class sandboxes(ExitStack):  # noqa: N801 - used as the context managers of contextlib are
    """Serve a watched sandbox for each cell, and save it as a project."""

    def __init__(self, cells: Mapping[str, list[ByOthers]], save_project: SaveProject) -> None:
        super().__init__()
        self._cells, self._save = cells, save_project

    def __enter__(self) -> dict[str, WatchedSandbox]:  # type: ignore[override]
        super().__enter__()
        served = {}
        for name, changes in self._cells.items():
            sandbox = WatchedSandbox(changes)
            self.enter_context(serve(sandbox))
            served[name] = sandbox
            self._save(name, sandbox)
        return served


def faults() -> Iterator[tuple[str, str, int | None]]:
    for operation, names in _FAULTS.items():
        for name in names:
            yield from ((operation, name, times) for times in (1, None))


@given(
    cells=st.lists(
        st.tuples(
            st.lists(st.sampled_from(ALL), max_size=4), st.sampled_from(list(faults())), st.integers(0, 3)
        ),
        min_size=8,
        max_size=8,
    )
)
@settings(
    max_examples=max(1, settings().max_examples // 25),
    phases=[Phase.explicit, Phase.generate],  # an example takes seconds: what it found is read, not shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_same_holds_when_requests_fail_too(
    cells: list[tuple[list[ByOthers], tuple[str, str, int | None], int]], save_project: SaveProject
) -> None:
    by_name = {f"faulty-{number}": changes for number, (changes, _, _) in enumerate(cells)}
    with sandboxes(by_name, save_project) as served:
        for sandbox, (_, (operation, name, times), after) in zip(served.values(), cells, strict=True):
            example_of("changes by others while requests fail: outcomes are what was seen last")
            injected = {
                **(FAULT_SPECS[name].injected or {}),
                "operation": operation,
                "times": times,
                "after": after,
            }
            sandbox.faults.add(Fault.model_validate(injected))
        done = await run(
            protect_snapshots, projects=list(by_name), label_selector=SELECTOR, timeout_seconds=1
        )
    report = report_of(done)
    for project, (changes, fault, after) in zip(report.projects, cells, strict=True):
        about = ([str(one) for one in changes], fault, after)
        untrue = untruths(project, served[project.project], changes_end_before_last_look=False)
        assert not [what for what in untrue if "not reported" not in what or not project.error], about
