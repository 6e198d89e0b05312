"""Images and actions as the API describes them, lenient to its growth.

Only what decisions depend on is required; fields and values that are unknown today are accepted.
https://docs.hetzner.cloud/reference/cloud#images
https://docs.hetzner.cloud/reference/cloud#image-actions
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from hetzner_cloud.sanitize import printable

MAX_ID = 2**53 - 1

_MAX_GIGABYTES = 1e12
_TIME = TypeAdapter(datetime)


def _time_or_none(value: object) -> datetime | None:
    """Return a time in UTC; an invalid one, also a number of seconds, is no reason to lose a snapshot."""
    is_date = isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-")
    if not is_date:
        return None
    try:
        time = _TIME.validate_python(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValidationError, OverflowError):
        return None


def _none_if_invalid(value: object, read: ValidatorFunctionWrapHandler) -> object:
    """Nor is an invalid value of a field that no decision depends on."""
    try:
        return read(value)
    except ValidationError:
        return None


def _empty_if_invalid(value: object, read: ValidatorFunctionWrapHandler) -> object:
    return _none_if_invalid(value, read) or ()


def _string_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""


def _percent(value: object) -> float:
    return min(100.0, max(0.0, value)) if isinstance(value, int | float) else 0.0  # NaN too is 0


def _size_or_none(value: object) -> float | None:
    is_size = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_GIGABYTES
    return float(value) if is_size else None  # type: ignore[arg-type]  # a number, as checked


Time = Annotated[datetime | None, BeforeValidator(_time_or_none)]
Lenient = WrapValidator(_none_if_invalid)
Text = Annotated[str, BeforeValidator(_string_or_empty)]
Size = Annotated[float | None, BeforeValidator(_size_or_none)]
Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]
Count = Annotated[StrictInt, Field(gt=-(10**20), lt=10**20)]  # longer ones can be neither divided nor shown


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Resource(_Model):
    """What an action relates to; `type` is e.g. `image` or `server`."""

    id: Id
    type: str


class ActionErrorInfo(_Model):
    """Why an action failed."""

    code: Text = ""
    message: Text = ""


class Action(_Model):
    """An asynchronous request to the API; only `status` is its result.

    Attributes:
        status: `running`, `success` or `error`; one that is unknown today counts as running.
        progress: Percent, 0 to 100; it is not linear and can stick.
        error: Present on an action that failed; it was also seen on one that succeeded.
    """

    id: Id
    status: str
    command: Text = ""
    progress: Annotated[float, BeforeValidator(_percent)] = 0
    started: Time = None
    finished: Time = None
    resources: Annotated[tuple[Resource, ...], FailFast(), WrapValidator(_empty_if_invalid)] = ()
    error: Annotated[ActionErrorInfo | None, Lenient] = None

    @property
    def image_id(self) -> int | None:
        """The image that the action relates to, None if the response does not contain it."""
        return next((resource.id for resource in self.resources if resource.type == "image"), None)

    @property
    def succeeded(self) -> bool:
        """Whether it finished with success."""
        return self.status == "success"

    @property
    def failed(self) -> bool:
        """Whether it finished with an error."""
        return self.status == "error"

    @property
    def is_finished(self) -> bool:
        """Whether it will change no more."""
        return self.succeeded or self.failed

    def __str__(self) -> str:
        """Describe what is needed to find it again."""
        image = f" of image {self.image_id}" if self.image_id is not None else ""
        command = f" ({printable(self.command)})" if self.command else ""
        about = f"action {self.id}{command}{image}"
        if self.failed:
            return f"{about}: {describe_action_error(self.error)}"
        return about if self.is_finished else f"{about} at {self.progress:g} %"


class Protection(_Model):
    """What a resource is protected from."""

    delete: StrictBool


class CreatedFrom(_Model):
    """The server that a snapshot was created from; it may be deleted."""

    id: Annotated[StrictInt | None, Lenient] = None
    name: Text = ""


class Deprecation(_Model):
    """When an image's removal was announced, and when it becomes unavailable."""

    announced: Time = None
    unavailable_after: Time = None


class Image(_Model):
    """A system image, app, snapshot or backup.

    Attributes:
        type: `system`, `app`, `snapshot` or `backup`.
        status: `available`, `creating` or `unavailable`.
        name: Set for system images and apps only.
        disk_size: The size of its disk, GB.
        image_size: The size that is stored and billed, GB; None while creating.
        bound_to: The id of the server that a backup belongs to.
        labels: None if any of them could not be read: what is left would fulfil selectors such as !key.
        unreadable: What was sent and could not be read, of the description and the server's name.
    """

    id: Id
    type: str
    protection: Protection
    status: Text = ""
    name: Annotated[str | None, Lenient] = None
    description: Text = ""
    created: Time = None
    created_from: Annotated[CreatedFrom | None, Lenient] = None
    disk_size: Size = None
    image_size: Size = None
    bound_to: Annotated[int | None, Lenient] = None
    os_flavor: Text = ""
    os_version: Annotated[str | None, Lenient] = None
    architecture: Text = ""
    rapid_deploy: Annotated[bool | None, Lenient] = None
    deprecated: Time = None
    deprecation: Annotated[Deprecation | None, Lenient] = None
    deleted: Time = None
    labels: Annotated[dict[StrictStr, StrictStr] | None, Lenient] = None
    unreadable: frozenset[Literal["description", "server"]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _note_unreadable(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        server, given = value.get("created_from"), value.get("unreadable")
        is_named = server is None or (isinstance(server, dict) and isinstance(server.get("name"), str))
        readable = {"server": is_named, "description": isinstance(value.get("description"), str)}
        if all(readable.values()) and "unreadable" not in value:
            return value
        known = given if isinstance(given, list | frozenset) else ()  # of an image that was read before
        return value | {"unreadable": [name for name in readable if name in known or not readable[name]]}

    @property
    def is_snapshot(self) -> bool:
        """Whether deletion protection can be changed: the API offers it for snapshots only."""
        return self.type == "snapshot"

    @property
    def is_protected(self) -> bool:
        """Whether it is protected from deletion."""
        return self.protection.delete


class Pagination(_Model):
    """The position of a page in its list; None where the API does not report it.

    Without `next_page` a list would be cut short unnoticed, so that one must be readable.
    """

    next_page: Count | None = None
    last_page: Annotated[Count | None, Lenient] = None
    total_entries: Annotated[Count | None, Lenient] = None


class Meta(_Model):
    """What a response of a list reports about the list."""

    pagination: Annotated[Pagination, BeforeValidator(lambda value: value or {})] = Pagination()


def describe_invalid(error: ValidationError) -> str:
    """Name the first place that is invalid, and why; the value itself is untrusted."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{place}: {first['msg']}"


def describe_action_error(error: ActionErrorInfo | None) -> str:
    """Format an action's error as the official clients do: message (code)."""
    if error is None:
        return "no reason given"
    message = printable(error.message) or "no message given"
    return f"{message} ({printable(error.code)})" if error.code else message
