"""What can go wrong, and where: the cells of the fault matrix."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from sandbox import Fault

Kind = Literal["transient", "waits", "permanent", "token"]
Place = Literal["list", "get", "change", "poll", "verify", "evidence"]
Times = Literal["once", "always"]

TODO, BEFORE = 4, 2  # snapshots to be protected, and protected before

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
    "reset before the response": FaultSpec("transient", "connection_lost", {"kind": "drop"}),
    "reset after it was done": FaultSpec(
        "transient", "connection_lost", {"kind": "drop_after"}, carried_out=True
    ),
    "slower than the timeout": FaultSpec("transient", "timeout", {"kind": "delay"}),
}
_ALONE_OF_THEIR_KIND = {  # what is done by the network, or done although no response says so
    "423 locked",
    "empty 200",
    "connection refused",
    "reset after it was done",
    "slower than the timeout",
}
_OPERATIONS: dict[Place, str] = {
    "list": "list_images",
    "get": "get_image",
    "change": "change_image_protection",
    "poll": "list_actions",
    "verify": "list_images",
    "evidence": "list_image_actions",
}


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
        """Whether the wait for actions is given up: a rejection of the token at once, others if they stay."""
        if self.place != "poll":
            return False
        refused = self.kind == "token" or self.name == "403"
        return refused or (self.kind == "permanent" and self.times == "always")

    @property
    def has_sibling(self) -> bool:
        """Whether the same fault always, and another of its kind once, hold the same.

        Of an audit also another of its kind, as often: it reads lists as a protection run does.
        """
        is_alone = self.name in {self.first_of_its_kind, *_ALONE_OF_THEIR_KIND}
        return not is_alone and (self.times == "once" or self.flow == "audit")

    @property
    def first_of_its_kind(self) -> str:
        """The first fault of the matrix that is of the same kind."""
        return next(name for name, spec in FAULT_SPECS.items() if spec.kind == self.spec.kind)

    @property
    def operation(self) -> str:
        return _OPERATIONS[self.place]

    @property
    def after(self) -> int:
        """How many such requests pass before: the verification comes after the list."""
        return 1 if self.place == "verify" else 0

    @property
    def fault(self) -> Fault | None:
        """What the sandbox does; None where the connection is to be refused."""
        if self.spec.injected is None:
            return None
        times = {"times": 1} if self.times == "once" else {}
        where = {"operation": self.operation, "after": self.after}
        return Fault.model_validate(self.spec.injected | where | times)


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
