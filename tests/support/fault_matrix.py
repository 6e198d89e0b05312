"""What can go wrong, where, and what the policy says comes of it: the fault matrix without its cells' runs.

The expectation is written down here a second time, from the policy's words and not from its code.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sandbox import Fault

Kind = Literal["transient", "waits", "permanent", "token"]
Place = Literal["list", "get", "change", "poll", "verify", "evidence"]
Times = Literal["once", "always"]

TODO, BEFORE = 4, 2  # snapshots to be protected, and protected before
TRIES = 6  # five retries
WAITS = 15  # a request that is answered with 429 is sent at most so often in the cells' patience
POLLS = 60  # what the cells' deadline allows

_FIELDS = {"fields": [{"name": "delete", "messages": ["is not what it should be"]}]}


@dataclass(frozen=True)
class FaultSpec:
    """A fault of the matrix.

    Attributes:
        kind: Whether it is transient, is waited out, is permanent, or is about the token.
        code: What the run reports of it; one that is not ours is the API's.
        injected: How the sandbox does it; None where the connection is refused, which no server can do.
        carried_out: Whether what was asked was done all the same.
    """

    kind: Kind
    code: str
    injected: dict[str, object] | None
    carried_out: bool = False


def _error(status: int, kind: Kind, code: str, /, **more: object) -> FaultSpec:
    return FaultSpec(kind, code, {"kind": "error", "status": status, **more})


FAULT_SPECS: dict[str, FaultSpec] = {
    "429": _error(429, "waits", "rate_limit_exceeded"),
    "429 without a body": _error(429, "waits", "http_429", body=""),
    "500": _error(500, "transient", "server_error"),
    "502, HTML": FaultSpec("transient", "http_502", {"kind": "html", "status": 502}),
    "503": _error(503, "transient", "unavailable"),
    "504": _error(504, "transient", "timeout"),
    "409 conflict": _error(409, "transient", "conflict"),
    "423 locked": _error(423, "permanent", "locked"),  # transient on a change
    "423 protected": _error(423, "permanent", "protected", code="protected"),
    "404": _error(404, "permanent", "not_found"),
    "401": _error(401, "token", "unauthorized"),
    "401 token_readonly": _error(401, "token", "token_readonly", code="token_readonly"),
    "403": _error(403, "permanent", "forbidden"),
    "410": _error(410, "permanent", "deprecated_api_endpoint"),
    "422 with fields": _error(422, "permanent", "invalid_input", details=_FIELDS),
    "empty 200": FaultSpec(
        "transient", "invalid_response", {"kind": "empty", "status": 200}, carried_out=True
    ),
    "truncated JSON": FaultSpec("transient", "invalid_response", {"kind": "truncated"}, carried_out=True),
    "JSON of a wrong shape": FaultSpec(
        "transient", "invalid_response", {"kind": "wrong_shape"}, carried_out=True
    ),
    "connection refused": FaultSpec("transient", "unreachable", None),
    "reset before the answer": FaultSpec("transient", "connection_lost", {"kind": "drop"}),
    "reset after it was done": FaultSpec(
        "transient", "connection_lost", {"kind": "drop_after"}, carried_out=True
    ),
    "slower than the time-out": FaultSpec("transient", "timeout", {"kind": "delay"}),
}
_ALONE_OF_THEIR_KIND = {  # what is done by the network, or done although no response says so
    "423 locked",
    "empty 200",
    "connection refused",
    "reset after it was done",
    "slower than the time-out",
}
_OPERATIONS: dict[Place, str] = {
    "list": "list_images",
    "get": "get_image",
    "change": "change_image_protection",
    "poll": "list_actions",
    "verify": "list_images",
    "evidence": "list_image_actions",
}


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


@dataclass(frozen=True)
class Cell:
    """One fault, at one place of one flow, once or always."""

    flow: Literal["protect", "audit", "unprotect"]
    place: Place
    name: str
    times: Times
    spec: FaultSpec = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", FAULT_SPECS[self.name])

    def __str__(self) -> str:
        return f"{self.flow}-{self.place}-{self.name}-{self.times}".replace(" ", "_").replace(",", "")

    @property
    def kind(self) -> Kind:
        """What the policy says of the fault at this place: only a change waits for another action."""
        locked = self.name == "423 locked" and self.place == "change"
        return "transient" if locked else self.spec.kind

    @property
    def ends_the_wait(self) -> bool:
        """Whether the wait for actions is given up: a refusal of the token at once, others if they stay."""
        if self.place != "poll":
            return False
        refused = self.kind == "token" or self.name == "403"
        return refused or (self.kind == "permanent" and self.times == "always")

    @property
    def has_sibling(self) -> bool:
        """Whether the same fault always, and another of its kind once, hold the same."""
        first = next(name for name, spec in FAULT_SPECS.items() if spec.kind == self.spec.kind)
        return self.times == "once" and self.name not in {first, *_ALONE_OF_THEIR_KIND}

    @property
    def operation(self) -> str:
        return _OPERATIONS[self.place]

    @property
    def after(self) -> int:
        """How many such requests pass before: the look again comes after the list."""
        return 1 if self.place == "verify" else 0

    @property
    def fault(self) -> Fault | None:
        """What the sandbox does; None where the connection is to be refused."""
        if self.spec.injected is None:
            return None
        times = {"times": 1} if self.times == "once" else {}
        where = {"operation": self.operation, "after": self.after}
        return Fault.model_validate(self.spec.injected | where | times)

    @property
    def expected(self) -> Expected:
        return _EXPECTED[self.place](self) if self.flow == "protect" else _expected_of_audit(self)


def cells() -> Iterator[Cell]:
    places: dict[Literal["protect", "audit"], tuple[Place, ...]] = {
        "protect": ("list", "change", "poll", "verify"),
        "audit": ("list", "evidence"),
    }
    choices: tuple[Times, ...] = ("once", "always")
    for flow, its_places in places.items():
        for place in its_places:
            for name in FAULT_SPECS:
                for times in choices:
                    yield Cell(flow, place, name, times)


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
    if cell.kind == "token":  # those that are under way together are all refused, none is sent after
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
        return _all_protected(requests, frozenset({code}))  # the look again knows better
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


def _at_the_look_again(cell: Cell) -> Expected:
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
    "verify": _at_the_look_again,
}


def _expected_of_audit(cell: Cell) -> Expected:
    """One snapshot has lost its protection; its evidence is the action that lifted it."""
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
