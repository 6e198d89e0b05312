"""What the policy says comes of each cell of the fault matrix.

It is written down here a second time, from the policy's words and not from its code.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.fault_matrix import BEFORE, TODO, Cell

TRIES = 6  # five retries
WAITS = 15  # a request that gets a 429 is sent at most so often in the cells' patience
POLLS = 60  # what the cells' deadline allows


class Range(NamedTuple):
    """How many requests, at least and at most."""

    least: int
    most: int


@dataclass(frozen=True)
class Expected:
    """What the policy says comes of a cell.

    Attributes:
        state: The run's final state.
        outcomes: How many snapshots have which outcome, each as a range.
        codes: The codes of the errors that are reported.
        requests: How often each operation is asked for.
        project_code: The code of the error that the project has as a whole, empty for none.
    """

    state: str
    outcomes: dict[str, Range]
    requests: dict[str, Range]
    codes: frozenset[str] = frozenset()
    project_code: str = ""

    def fits(self, outcomes: Counter[str], requests: Counter[str]) -> bool:
        """Tell whether counts are within the ranges, and nothing else was pluralize."""
        return _within(outcomes, self.outcomes) and _within(requests, self.requests)


def expected_of(cell: Cell) -> Expected:
    return _EXPECTED[cell.place](cell) if cell.flow == "protect" else _expected_of_audit(cell)


def _exactly(number: int) -> Range:
    return Range(number, number)


def _within(counts: Counter[str], ranges: dict[str, Range]) -> bool:
    return set(counts) <= set(ranges) and all(
        least <= counts[name] <= most for name, (least, most) in ranges.items()
    )


def _requests(cell: Cell, healthy: int, asked_for: int = 1) -> Range:
    """The requests of an operation that needs `healthy` ones, of which `asked_for` meet the fault."""
    if cell.kind == "waits":
        most = healthy + 1 if cell.times == "once" else healthy + asked_for * WAITS
        return Range(healthy + 1, most)
    if cell.kind == "transient":
        return _exactly(healthy + (1 if cell.times == "once" else asked_for * (TRIES - 1)))
    return _exactly(healthy)


def _all_protected(requests: dict[str, Range], codes: frozenset[str] = frozenset()) -> Expected:
    outcomes = {"protected": _exactly(TODO), "already_protected": _exactly(BEFORE)}
    return Expected("COMPLETED", outcomes, requests, codes)


def _none_protected(
    outcome: str, code: str, requests: dict[str, Range], *, project_code: str = ""
) -> Expected:
    outcomes = {outcome: _exactly(TODO), "already_protected": _exactly(BEFORE)}
    return Expected("FAILED", outcomes, requests, frozenset({code}), project_code)


def _lost(cell: Cell) -> bool:
    """Whether a request gets no answer in the end: no retry helps, or none is made."""
    return cell.times == "always" or cell.kind in {"permanent", "token"}


def _at_the_list(cell: Cell) -> Expected:
    lists = _requests(cell, 1)
    if _lost(cell):
        return Expected("FAILED", {}, {"list_images": lists}, project_code=cell.spec.code)
    return _all_protected(
        {
            "list_images": Range(lists.least + 1, lists.most + 1),
            "change_image_protection": _exactly(TODO),
            "list_actions": Range(1, POLLS),
        }
    )


def _at_a_change(cell: Cell) -> Expected:
    polls, code = Range(0, POLLS), cell.spec.code
    if cell.kind == "token":  # those in flight together are all rejected, none is sent after
        refused = Range(1, TODO)
        outcomes = {"failed": refused, "already_protected": _exactly(BEFORE), "protected": Range(0, TODO - 1)}
        requests = {
            "list_images": _exactly(2),
            "change_image_protection": Range(1, TODO),
            "list_actions": polls,
        }
        return Expected("FAILED", outcomes, requests, frozenset({code}), code)
    asked_for = TODO if cell.times == "always" else 1
    requests = {
        "list_images": _exactly(2),
        "change_image_protection": _requests(cell, TODO, asked_for),
        "list_actions": polls,
    }
    if cell.times == "always" and cell.spec.carried_out:
        return _all_protected(requests, frozenset({code}))  # the verification knows better
    if cell.times == "always":
        return _none_protected("failed", code, requests)
    if cell.kind == "permanent":
        outcomes = {
            "failed": _exactly(1),
            "protected": _exactly(TODO - 1),
            "already_protected": _exactly(BEFORE),
        }
        return Expected("FAILED", outcomes, requests, frozenset({code}))
    return _all_protected(requests)


def _at_a_poll(cell: Cell) -> Expected:
    requests = {
        "list_images": _exactly(2),
        "change_image_protection": _exactly(TODO),
        "list_actions": Range(1, POLLS),
    }
    if cell.ends_the_wait:
        return _none_protected("unfinished", "action_unfinished", requests)
    return _all_protected(
        requests, frozenset({"action_unfinished"} if cell.times == "always" else ())
    )  # a failed poll is no failed action


def _at_the_verification(cell: Cell) -> Expected:
    lists = _requests(cell, 1)
    requests = {
        "list_images": Range(lists.least + 1, lists.most + 1),
        "change_image_protection": _exactly(TODO),
        "list_actions": Range(1, POLLS),
    }
    if not _lost(cell):
        return _all_protected(requests)
    outcomes = {"failed": _exactly(TODO + BEFORE)}  # of those protected before it isn't known either
    return Expected("FAILED", outcomes, requests, frozenset({"unverified"}))


_EXPECTED = {
    "list": _at_the_list,
    "change": _at_a_change,
    "poll": _at_a_poll,
    "verify": _at_the_verification,
}


def _expected_of_audit(cell: Cell) -> Expected:
    """One snapshot has lost its protection; its evidence is the action that removed it."""
    asked = _requests(cell, 1)
    if cell.place == "list":
        if _lost(cell):
            return Expected("FAILED", {}, {"list_images": asked}, project_code=cell.spec.code)
        requests = {"list_images": asked, "list_image_actions": _exactly(1)}
        return Expected("COMPLETED", _FOUND, requests)
    requests = {"list_images": _exactly(1), "list_image_actions": asked}
    return Expected("COMPLETED", _FOUND, requests, project_code=cell.spec.code if _lost(cell) else "")


_FOUND = {
    "newly_unprotected": _exactly(1),
    "unprotected": _exactly(TODO),
    "protected": _exactly(BEFORE - 1),
}
