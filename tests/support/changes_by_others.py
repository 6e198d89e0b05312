"""What other users change while a run goes on, when, and what the run's outcomes must say then.

The oracle is the sandbox: it keeps what it last returned of each snapshot, and in which request.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sandbox import ManualClock, RequestRecord, Sandbox
from sandbox.operations import OPERATIONS, Operation, OperationResponse
from sandbox.request import OperationRequest
from snapshot_protection.protection_report import ProjectReport

SELECTOR = "env=prod"
SELECTED, OTHER = {"env": "prod"}, {"env": "test"}
TODO, BEFORE = 3, 50  # two pages of a listing
_POLLS_OF_AN_ACTION = 3  # the sandbox's time passes a second at each poll

Step = Literal["list", "change", "poll", "verify", "get"]
Change = Literal[
    "delete", "unprotect", "relabel", "unprotect and relabel", "protect", "create", "create protected"
]
Target = Literal["to be changed", "protected before", "protected before, last page", "not selected"]

_STEPS = {"GET /v1/images": "list", "GET /v1/actions": "poll"}
MOMENTS: tuple[tuple[Step, int], ...] = (
    ("list", 1),
    ("list", 2),
    ("change", 1),
    ("change", 2),
    ("poll", 1),
    ("poll", 2),
    ("verify", 1),
    ("verify", 2),
    ("get", 1),
)


@dataclass(frozen=True)
class ByOthers:
    """One change, made when the sandbox receives the nth request of a step."""

    step: Step
    nth: int
    change: Change
    target: Target

    def __str__(self) -> str:
        return f"{self.change}, {self.target}, at {self.step} {self.nth}"


def changes_at(step: Step, nth: int) -> Iterator[ByOthers]:
    """Yield every change that makes sense at a moment."""
    for change in get_args(Change):
        if change.startswith("create"):
            yield ByOthers(step, nth, change, "to be changed")
            continue
        for target in get_args(Target):
            if target != "not selected" or change in {"relabel", "delete", "protect"}:
                yield ByOthers(step, nth, change, target)


class WatchedSandbox(Sandbox):
    """Snapshots of which others change some during a run; what was last returned of each is kept.

    Attributes:
        made: The changes that were made: a run may end before their moment.
        last_seen: By image id, the image as last returned, None for a 404, and the number of the request. A
            listing counts when all of its pages were returned.
        final_listing: The number of the first request of the last such listing.
    """

    def __init__(self, changes: Iterable[ByOthers], **settings: Any) -> None:
        self._time = ManualClock()
        super().__init__(
            clock=self._time,
            token="watched-0123456789",
            snapshots=TODO + BEFORE,
            protected=BEFORE,
            action_seconds=_POLLS_OF_AN_ACTION,
            rate_limit=360_000,
            **settings,
        )
        for image in self.images.values():
            image["labels"] = dict(SELECTED)
        self.add_snapshot(labels=OTHER)
        self._changes = list(changes)
        self._counts: dict[str, int] = {}
        self._ids = sorted(self.images)
        self._pages: dict[int, tuple[list[dict[str, Any]], int]] = {}
        self.made: list[ByOthers] = []
        self.last_seen: dict[int, tuple[dict[str, Any] | None, int]] = {}
        self.final_listing = 0

    def keep(self, record: RequestRecord) -> None:
        super().keep(record)
        step = self._step(record)
        self._counts[step] = self._counts.get(step, 0) + 1
        if step == "poll":
            self._time.advance(1)
        for one in self._changes:
            if (one.step, one.nth) == (step, self._counts[step]):
                self._make(one)
                self.made.append(one)

    def _step(self, record: RequestRecord) -> str:
        if record.method == "POST":
            return "change"
        step = _STEPS.get(f"{record.method} {record.path}", "get")
        return "verify" if step == "list" and self._counts.get("change") else step

    def _make(self, one: ByOthers) -> None:
        if one.change.startswith("create"):
            protection = {"delete": one.change == "create protected"}
            self.add_snapshot(labels=dict(SELECTED), protection=protection)
            return
        image_id = self.id_of(one.target)
        if (image := self.images.get(image_id)) is None:
            return
        match one.change:
            case "delete":
                self.delete_image(image_id)
            case "protect":
                self.set_protection(image_id, delete=True)
            case _:
                if "relabel" in one.change:
                    image["labels"] = dict(SELECTED if one.target == "not selected" else OTHER)
                if "unprotect" in one.change:
                    self.set_protection(image_id, delete=False)

    def id_of(self, target: Target) -> int:
        places = {
            "to be changed": -2,
            "protected before": 20,
            "protected before, last page": 0,
            "not selected": -1,
        }
        return self._ids[places[target]]

    def returned_image(self, image_id: int, image: dict[str, Any] | None) -> None:
        self.last_seen[image_id] = (deepcopy(image), len(self.requests))

    def returned_page(self, call: OperationRequest, body: dict[str, Any]) -> None:
        place = body["meta"]["pagination"]
        if place["page"] == 1 and call.values("sort") == ["id:desc"]:
            self._pages.clear()
        self._pages[place["page"]] = (deepcopy(body["images"]), len(self.requests))
        if self._pages.keys() >= set(range(1, place["last_page"] + 1)):
            self.final_listing = min(request for _, request in self._pages.values())
            for images, request in self._pages.values():
                self.last_seen |= {image["id"]: (image, request) for image in images}


def watching_operations() -> dict[str, tuple[str, str, Operation]]:
    """Return the sandbox's operations; a watched sandbox keeps which images they return."""
    watched: dict[str, Callable[[Operation], Operation]] = {
        "list_images": _watch_listing,
        "get_image": _watch_image,
        "change_image_protection": _watch_image,
    }
    return {
        name: (method, path, watched[name](operation) if name in watched else operation)
        for name, (method, path, operation) in OPERATIONS.items()
    }


def _watch_listing(operation: Operation) -> Operation:
    def watch(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
        status, body = operation(sandbox, call)
        if isinstance(sandbox, WatchedSandbox):
            sandbox.returned_page(call, body or {})
        return status, body

    return watch


def _watch_image(operation: Operation) -> Operation:
    def watch(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
        image = None
        try:
            status, body = operation(sandbox, call)
            image = (body or {}).get("image")
        finally:
            if isinstance(sandbox, WatchedSandbox) and (image or call.image_id not in sandbox.images):
                sandbox.returned_image(call.image_id, image)
        return status, body

    return watch


@dataclass
class Untrue:
    """What a report says that the sandbox does not."""

    found: list[str] = field(default_factory=list)

    def unless(self, holds: object, what: str) -> None:
        if not holds:
            self.found.append(what)


def untruths(
    report: ProjectReport, sandbox: WatchedSandbox, *, changes_end_before_last_look: bool
) -> list[str]:
    """Return where a report and the sandbox differ; empty if nowhere.

    Args:
        report: Of the sandbox's project.
        sandbox: As it is after the run.
        changes_end_before_last_look: Whether nothing was changed after the last request that looks: then the
            outcomes must be what the sandbox holds now.
    """
    untrue = Untrue()
    for one in report.snapshots:
        image, request = sandbox.last_seen.get(one.image_id, (None, 0))
        protected = image is not None and image["protection"]["delete"]
        what = f"{one.image_id} is reported {one.outcome}"
        if one.outcome in {"protected", "already_protected"}:
            untrue.unless(protected, f"{what}, last seen {image and image['protection']}")
            untrue.unless(request >= sandbox.final_listing, f"{what}, not seen in the last verification")
        elif one.outcome == "deleted":
            untrue.unless(image is None, f"{what}, and it was seen")
        elif one.code != "unverified":
            untrue.unless(not protected, f"{what}, and was seen protected")
        if changes_end_before_last_look:
            now = sandbox.images.get(one.image_id)
            said = {"deleted": None, "protected": True, "already_protected": True}.get(one.outcome, False)
            untrue.unless(
                said == (now and now["protection"]["delete"]), f"{what}, now {now and now['protection']}"
            )
    reported = {one.image_id for one in report.snapshots}
    seen = {
        image_id
        for image_id, (image, request) in sandbox.last_seen.items()
        if request >= sandbox.final_listing
    }
    untrue.unless(seen <= reported, f"not reported: {sorted(seen - reported)}")
    return untrue.found
