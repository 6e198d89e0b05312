"""What the policy says comes of each fault while protection is removed: the fault matrix's third flow.

Protection is to be removed from 4 snapshots, and 2 are unprotected already. Each is looked at alone, so that
a 404 says that this one is deleted, and costs no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.support.fault_expectations import POLLS, TRIES, WAITS, Expected, Range
from tests.support.fault_matrix import BEFORE, FAULT_SPECS, TODO, Cell, Times

ALL = TODO + BEFORE
Counts = dict[str, Range]

_ALONE_OF_THEIR_KIND = {"404", "reset after it was done"}
_PLACES: tuple[Literal["get", "change", "poll", "verify"], ...] = ("get", "change", "poll", "verify")


@dataclass(frozen=True)
class UnprotectCell(Cell):
    """One fault, at one place of the flow that removes protection, once or always."""

    @property
    def operation(self) -> str:
        """Plan and verification look at each snapshot."""
        return "get_image" if self.place in {"get", "verify"} else super().operation

    @property
    def after(self) -> int:
        """The verification comes after the plan's look at each snapshot."""
        return ALL if self.place == "verify" else 0

    @property
    def says_deleted(self) -> bool:
        """Whether the fault is a response that there is no such snapshot."""
        return self.name == "404" and self.place in {"get", "verify"}

    @property
    def has_sibling(self) -> bool:
        """Whether another fault of its kind, at this place, as often, holds the same."""
        return self.name not in {self.first_of_its_kind, *_ALONE_OF_THEIR_KIND}


def expected_of_unprotect(cell: UnprotectCell) -> Expected:
    at = {"get": _at_the_plan, "change": _at_a_change, "poll": _at_a_poll, "verify": _at_the_end}
    return at[cell.place](cell)


def unprotect_cells() -> Iterator[UnprotectCell]:
    choices: tuple[Times, ...] = ("once", "always")
    for place in _PLACES:
        for name in FAULT_SPECS:
            for times in choices:
                yield UnprotectCell("unprotect", place, name, times)


def _exactly(number: int) -> Range:
    return Range(number, number)


def _met(cell: Cell, healthy: int, concerned: int) -> Range:
    """The requests of an operation that needs `healthy` ones, of which `concerned` can meet the fault."""
    hit = 1 if cell.times == "once" else concerned
    if cell.kind == "waits":
        return Range(healthy + 1, healthy + (1 if cell.times == "once" else hit * WAITS))
    if cell.kind == "transient":
        return _exactly(healthy + (1 if cell.times == "once" else hit * (TRIES - 1)))
    return Range(healthy - concerned + 1, healthy) if cell.kind == "token" else _exactly(healthy)


def _lost(cell: Cell) -> bool:
    return cell.times == "always" or cell.kind in {"permanent", "token"}


def _done(requests: Counts, codes: frozenset[str] = frozenset()) -> Expected:
    outcomes = {"unprotected": _exactly(TODO), "already_unprotected": _exactly(BEFORE)}
    return Expected("COMPLETED", outcomes, requests, codes)


def _without(cell: Cell, outcome: str, requests: Counts, codes: frozenset[str]) -> Expected:
    """Some of all have another outcome: one or, of what is in flight together or always, up to all."""
    most = ALL if cell.times == "always" or cell.kind == "token" else 1
    others = {
        outcome: Range(ALL if cell.times == "always" else 1, most),
        "unprotected": Range(max(0, TODO - most), TODO if cell.times == "once" else 0),
        "already_unprotected": Range(max(0, BEFORE - most), BEFORE if cell.times == "once" else 0),
    }
    return Expected("COMPLETED" if outcome == "deleted" else "FAILED", others, requests, codes)


def _requests(gets: Range, changes: Range, polls: Range) -> Counts:
    return {"get_image": gets, "change_image_protection": changes, "list_actions": polls}


def _at_the_plan(cell: UnprotectCell) -> Expected:
    if cell.says_deleted and cell.times == "always":
        return Expected("COMPLETED", {"deleted": _exactly(ALL)}, {"get_image": _exactly(ALL)})
    if cell.says_deleted:
        requests = _requests(_exactly(2 * ALL - 1), Range(TODO - 1, TODO), Range(1, POLLS))
        return _without(cell, "deleted", requests, frozenset())
    gets = _met(cell, ALL, ALL)
    if _lost(cell):
        return Expected("FAILED", {}, {"get_image": gets}, project_code=cell.spec.code)
    return _done(_requests(Range(gets.least + ALL, gets.most + ALL), _exactly(TODO), Range(1, POLLS)))


def _at_a_change(cell: UnprotectCell) -> Expected:
    code = frozenset({cell.spec.code})
    requests = _requests(_exactly(2 * ALL), _met(cell, TODO, TODO), Range(0, POLLS))
    if not _lost(cell):
        return _done(requests)
    if cell.times == "always" and cell.spec.carried_out:
        return _done(requests, code)  # the verification knows better
    failed = Range(TODO if cell.times == "always" else 1, 1 if cell.kind == "permanent" else TODO)
    failed = _exactly(TODO) if cell.times == "always" else failed
    outcomes = {
        "failed": failed,
        "unprotected": Range(TODO - failed.most, TODO - failed.least),
        "already_unprotected": _exactly(BEFORE),
    }
    return Expected("FAILED", outcomes, requests, code)


def _at_a_poll(cell: UnprotectCell) -> Expected:
    requests = _requests(_exactly(2 * ALL), _exactly(TODO), Range(1, POLLS))
    unfinished = frozenset({"action_unfinished"})
    if cell.ends_the_wait:
        outcomes = {"unfinished": _exactly(TODO), "already_unprotected": _exactly(BEFORE)}
        return Expected("FAILED", outcomes, requests, unfinished)
    return _done(requests, unfinished if cell.times == "always" else frozenset())


def _at_the_end(cell: UnprotectCell) -> Expected:
    gets = _met(cell, ALL, ALL)
    requests = _requests(Range(ALL + gets.least, ALL + gets.most), _exactly(TODO), Range(1, POLLS))
    if not _lost(cell):
        return _done(requests)
    if cell.says_deleted:
        return _without(cell, "deleted", requests, frozenset())
    return _without(cell, "failed", requests, frozenset({"unverified"}))
