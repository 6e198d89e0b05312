"""The pages that lists come in.

An entry that cannot be read costs only itself: a page is validated as a whole, and only if that fails entry
by entry.

https://docs.hetzner.cloud/reference/cloud#pagination
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from hetzner_cloud.models import Action, Id, Image, Meta, Pagination, describe_invalid
from hetzner_cloud.servers import Server
from hetzner_cloud.unreadable_entries import UnreadableEntry

_MAX_ENTRIES = 1_000  # a page has 50; each that is invalid takes time and memory
_ID = TypeAdapter[int](Id)


class Page(BaseModel):
    """One page; a response without `meta` is the only one, one whose `meta` cannot be read is invalid."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: ClassVar[str]
    entry_model: ClassVar[type[Image] | type[Action] | type[Server]]

    meta: Meta | None = None
    _unreadable: tuple[UnreadableEntry, ...] = PrivateAttr(())  # private: a response cannot set it

    @property
    def pagination(self) -> Pagination:
        """Its position in the list."""
        return self.meta.pagination if self.meta else Pagination()

    @property
    def entries(self) -> Sequence[Image] | Sequence[Action] | Sequence[Server]:
        """Its entries that could be read."""
        raise NotImplementedError

    @property
    def unreadable(self) -> tuple[UnreadableEntry, ...]:
        """Its other entries."""
        return self._unreadable

    @property
    def without_id(self) -> list[UnreadableEntry]:
        """Those of them that have no valid id."""
        return [entry for entry in self._unreadable if entry.id is None]

    @property
    def ids(self) -> list[int]:
        """The ids of its entries, of those that could not be read, too."""
        unreadable = (entry.id for entry in self._unreadable if entry.id is not None)
        return [*(entry.id for entry in self.entries), *unreadable]

    @property
    def size(self) -> int:
        """How many entries it has."""
        return len(self.entries) + len(self._unreadable)

    def numbered(self, number: int) -> Self:
        """Record the number of the page, for its entries that could not be read."""
        self._unreadable = tuple(one.model_copy(update={"page": number}) for one in self._unreadable)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _set_aside_unreadable(cls, content: Any, read: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        entries = content.get(cls.key) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            return read(content)
        if len(entries) > _MAX_ENTRIES:
            raise ValueError(f"{len(entries)} entries are more than a page has")
        try:
            return read(content)
        except ValidationError:
            readable, unreadable = cls._read_each(entries)
            page = read({**content, cls.key: readable})
            page._unreadable = tuple(unreadable)  # noqa: SLF001 - of this class
            return page

    @classmethod
    def _read_each(cls, entries: Sequence[object]) -> tuple[list[object], list[UnreadableEntry]]:
        readable: list[object] = []
        unreadable: list[UnreadableEntry] = []
        for entry in entries:
            try:
                readable.append(cls.entry_model.model_validate(entry))
            except ValidationError as error:
                unreadable.append(_unreadable_entry(entry, error))
        return readable, unreadable


class ImagesPage(Page):
    """One page of images."""

    key = "images"
    entry_model = Image

    images: Annotated[tuple[Image, ...], FailFast()]

    @property
    def entries(self) -> Sequence[Image]:
        """The images that could be read."""
        return self.images

    @property
    def by_id(self) -> dict[int, Image | UnreadableEntry]:
        """Its images by id; of several with one id, one that could not be read, else an unprotected one."""
        found: dict[int, Image | UnreadableEntry] = {
            image.id: image for image in sorted(self.images, key=attrgetter("is_protected"), reverse=True)
        }
        return found | {entry.id: entry for entry in self._unreadable if entry.id is not None}


class ServersPage(Page):
    """One page of servers."""

    key = "servers"
    entry_model = Server

    servers: Annotated[tuple[Server, ...], FailFast()]

    @property
    def entries(self) -> Sequence[Server]:
        """The servers that could be read."""
        return self.servers

    @property
    def by_id(self) -> dict[int, Server | UnreadableEntry]:
        """Its servers by id; of several with one id, one that could not be read."""
        found: dict[int, Server | UnreadableEntry] = {server.id: server for server in self.servers}
        return found | {entry.id: entry for entry in self._unreadable if entry.id is not None}


class ActionsPage(Page):
    """One page of actions."""

    key = "actions"
    entry_model = Action

    actions: Annotated[tuple[Action, ...], FailFast()]

    @property
    def entries(self) -> Sequence[Action]:
        """The actions that could be read."""
        return self.actions


def _unreadable_entry(entry: object, error: ValidationError) -> UnreadableEntry:
    fields = entry if isinstance(entry, Mapping) else {}
    type_ = fields.get("type")
    return UnreadableEntry(
        id=_id_or_none(fields.get("id")),
        type=type_ if isinstance(type_, str) else "",
        reason=describe_invalid(error),
    )


def _id_or_none(value: object) -> int | None:
    try:
        return _ID.validate_python(value)
    except ValidationError:
        return None
