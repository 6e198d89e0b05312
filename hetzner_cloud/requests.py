"""What is sent: requests and their query parameters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hetzner_cloud import validation

MAX_IDS_PER_REQUEST = 25  # the API may silently ignore further ones

Query = Sequence[tuple[str, str | int]]
Choices = str | Iterable[str] | None


@dataclass(frozen=True)
class ApiRequest:
    """A request; `path` is what follows the endpoint, from its slash on; a query's name may repeat.

    Attributes:
        sent_once: Whether it is not sent again after a 429: what was decided before may no longer hold.
    """

    method: str
    path: str
    query: Query = ()
    json: Mapping[str, bool] | None = None
    sent_once: bool = False

    def __str__(self) -> str:
        """Name it in messages, e.g. `GET /images`."""
        return f"{self.method} {self.path}"


def repeat_param(name: str, values: Iterable[str | int]) -> list[tuple[str, str | int]]:
    """Return one parameter for each value, all with the same name."""
    return [(name, value) for value in values]


def images_query(type_: Choices, status: Choices, label_selector: str) -> Query:
    """Return the filters of a list of images.

    Raises:
        InvalidArgumentError: One of them is invalid.
    """
    types = validation.validate_choices(type_, validation.IMAGE_TYPES, "image type")
    statuses = validation.validate_choices(status, validation.IMAGE_STATUSES, "image status")
    selector = validation.validate_label_selector(label_selector)
    return [
        ("include_deprecated", "true"),
        *repeat_param("type", types),
        *repeat_param("status", statuses),
        *repeat_param("label_selector", [selector] if selector else []),
    ]


def actions_query(sort: Choices, status: Choices) -> Query:
    """Return the order and the filter of a list of actions.

    Raises:
        InvalidArgumentError: One of them is invalid.
    """
    keys = validation.validate_sort(sort) or ["id:asc"]  # a stable order, or pages can overlap
    statuses = validation.validate_choices(status, validation.ACTION_STATUSES, "action status")
    return [*repeat_param("sort", keys), *repeat_param("status", statuses)]


def batched_ids(ids: Iterable[int]) -> list[list[int]]:
    """Split action ids, each once, into lists that fit into one request.

    Raises:
        InvalidArgumentError: One of them is no action id.
    """
    unique = list(dict.fromkeys(validation.validate_id(action_id, "An action id") for action_id in ids))
    return [unique[at : at + MAX_IDS_PER_REQUEST] for at in range(0, len(unique), MAX_IDS_PER_REQUEST)]
