"""Faults: what can be made to go wrong, with which requests, and how often.

A fault is of one kind. These go wrong with any operation:

* error: an error response with `status` (500), `code` and `message`; nothing is carried out
* html, empty: an HTML page or nothing with `status` (502), as from a gateway, without the API's headers
* truncated: the response's JSON is incomplete, although its length is as announced
* wrong_shape: JSON that is not of the documented shape
* cut: the connection is lost in the middle of the response
* delay: the response takes `seconds` more; nothing is carried out if the client disconnects before
* drop: the connection is lost without a response, and nothing is carried out
* drop_after: the same, but the request was carried out

html, empty, truncated, wrong_shape and cut carry the request out if their `status` is below 300, which it is
by default for the last three. These go wrong with the action that a change of protection starts:

* action_error: it fails, with `code` and `message`; the change is made only if `takes_effect`
* action_without_effect: it succeeds, and nothing is changed
* action_never_ends: it runs forever
* action_status: it shows `code` as its status forever, and does what it should
* action_unknown: no list and no lookup finds it, and it does what it should
* image_deleted: the image is deleted when its change arrives

These go wrong with a deletion of an image, if it is not rejected:

* delete_without_effect: it is accepted with 204, and nothing is deleted
* delete_late: it is accepted with 204, and the image is deleted `seconds` later, even if protected by then
* protected_again: another user protects the image just before, so it is rejected with 423
"""

import shlex
from collections.abc import Iterable
from typing import Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_validator,
)

ResponseFaultKind = Literal[
    "error", "html", "empty", "truncated", "wrong_shape", "cut", "delay", "drop", "drop_after"
]
ActionFaultKind = Literal[
    "action_error",
    "action_without_effect",
    "action_never_ends",
    "action_status",
    "action_unknown",
    "image_deleted",
]
DeletionFaultKind = Literal["delete_without_effect", "delete_late", "protected_again"]
OperationName = Literal[
    "any",
    "poll",
    "list_images",
    "get_image",
    "update_image",
    "delete_image",
    "change_image_protection",
    "list_actions_for_image",
    "get_action_for_image",
    "list_image_actions",
    "get_image_action",
    "list_actions",
    "get_action",
    "list_servers",
    "list_prices",
]
POLLS = frozenset(
    {"list_actions", "get_action", "list_image_actions", "get_image_action", "get_action_for_image"}
)


class Fault(BaseModel):
    """One fault, see above for its kinds.

    Attributes:
        kind: What goes wrong.
        operation: With which requests; `poll` is any of those that return actions by their id.
        image_ids: With which images; for polls, those whose actions are polled. Empty: all.
        after: How many such requests pass before.
        times: How many it hits then; None for all.
        status: The HTTP status of the response.
        code: The API's error code; by default what goes with the status. Empty: a body without one.
        message: The error's text.
        details: The error's details.
        body: The body to return instead of the kind's own.
        seconds: How long a delay lasts, of a response or a deletion.
        takes_effect: Whether an action that fails still makes its change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ResponseFaultKind | ActionFaultKind | DeletionFaultKind
    operation: OperationName = "any"
    image_ids: frozenset[int] = frozenset()
    after: NonNegativeInt = 0
    times: PositiveInt | None = None
    status: int | None = Field(None, ge=200, le=599)
    code: str | None = None
    message: str = "made to go wrong"
    details: dict[str, Any] | None = None
    body: str | None = None
    seconds: NonNegativeFloat = 60.0
    takes_effect: bool = False

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Read a fault as the command line gives it: `KIND name=value name="some words"`.

        Several ids are joined by commas.

        Raises:
            ValueError: The string is not a fault.
        """
        kind, *rest = shlex.split(spec) or [""]
        return cls.model_validate({"kind": kind} | dict(_named(part) for part in rest))

    @field_validator("image_ids", mode="before")
    @classmethod
    def _split_ids(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @property
    def affects(self) -> Literal["response", "action", "deletion"]:
        if self.kind in get_args(ActionFaultKind):
            return "action"
        return "deletion" if self.kind in get_args(DeletionFaultKind) else "response"

    def concerns(self, operation: str, image_ids: Iterable[int]) -> bool:
        """Return whether it affects a request."""
        return (
            self.operation in {"any", operation} or (self.operation == "poll" and operation in POLLS)
        ) and (not self.image_ids or not self.image_ids.isdisjoint(image_ids))


def _named(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals:
        raise ValueError(f"{part!r} is not of the form name=value")
    return name, value
