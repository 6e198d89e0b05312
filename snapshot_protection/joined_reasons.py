"""One reason of many snapshots, reported once: how many it concerns, and the first ones. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from snapshot_protection.wording import join_bounded

_MAX_NAMED = 5


class HasError(Protocol):
    """What has an error: an outcome of a snapshot, or the error itself."""

    @property
    def code(self) -> str:
        """Its code, empty if it has none."""

    @property
    def message(self) -> str:
        """What went wrong."""

    @property
    def correlation_id(self) -> str:
        """The API's, empty if there is none."""


class Reason(NamedTuple):
    """Why a snapshot, or a project, has an outcome or a finding.

    Attributes:
        what: The outcome or finding.
        text: What is, but for ids, the same for all that have it.
        subject: The one that it concerns, with all that is its own: its id, those of an action and a request.
        own_ids: The ids that may be in the text.
        style: How a terminal shows it.
        alone: How a log says it, if nothing else has the same reason.
    """

    what: str
    text: str
    subject: str
    own_ids: tuple[int | None, ...] = ()
    style: str = ""
    alone: str = ""

    @property
    def without_ids(self) -> "Reason":
        """The same for every snapshot that has it."""
        text = self.text
        for own in filter(None, self.own_ids):
            text = re.sub(rf"(?<!\d){own}(?!\d)", "…", text)
        return self._replace(text=text)

    @property
    def head(self) -> str:
        """What happened, and why."""
        return f"{self.what}: {self.text}" if self.text else self.what

    def __str__(self) -> str:
        """Format all of it in one line."""
        return self.alone or f"{self.head}: {self.subject}"


def make_reason(
    what: str, name: str, error: HasError, *, image_id: int | None = None, action_id: int | None = None
) -> Reason:
    """Make the reason of an outcome or a project's error; `name` is what it concerns."""
    text = f"{error.message} ({error.code})" if error.code else error.message
    known = ", ".join(filter(None, [f"action {action_id}" if action_id else "", error.correlation_id]))
    subject = f"{name} ({known})" if known else name
    return Reason(what.replace("_", " "), text, subject, (image_id, action_id))


def join_reasons(reasons: Iterable[Reason]) -> list[Reason]:
    """Join those that are the same, in the order in which each is there last: `3 failed: …`."""
    joined: dict[str, list[Reason]] = {}
    for reason in reasons:
        head = reason.without_ids.head
        same = joined.pop(head, [])
        same.append(reason)
        joined[head] = same
    return [_join(same) for same in joined.values()]


def _join(same: list[Reason]) -> Reason:
    if len(same) == 1:
        return same[0]
    joined = same[-1] if len({each.text for each in same}) == 1 else same[-1].without_ids
    subject = join_bounded((each.subject for each in same), limit=_MAX_NAMED)
    return joined._replace(what=f"{len(same):,} {joined.what}", subject=subject, alone="")
