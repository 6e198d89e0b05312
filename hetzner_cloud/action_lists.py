"""The actions of several responses as one list."""

from collections.abc import Callable, Iterable
from operator import attrgetter

from hetzner_cloud import validation
from hetzner_cloud.models import Action
from hetzner_cloud.pages import ActionsPage
from hetzner_cloud.requests import Choices
from hetzner_cloud.unreadable_entries import UnreadableActionsError


def actions_or_raise(
    pages: Iterable[ActionsPage],
    sort: Callable[[Iterable[Action]], list[Action]] = list,
    limit: int | None = None,
) -> list[Action]:
    """Return the actions of pages, at most so many.

    Raises:
        UnreadableActionsError: Some could not be read; it has all others.
    """
    pages = list(pages)
    actions = sort(action for page in pages for action in page.actions)[:limit]
    if unreadable := [entry for page in pages for entry in page.unreadable]:
        raise UnreadableActionsError(actions, unreadable)
    return actions


def sort_actions(actions: Iterable[Action], sort: Choices) -> list[Action]:
    """Sort actions of several responses, each of them sorted, as one response would be."""
    ordered = list(actions)
    for key in reversed(validation.validate_sort(sort)):
        name, _, direction = key.partition(":")
        read = attrgetter(name)
        ordered.sort(key=lambda action: (read(action) is None, read(action)), reverse=direction == "desc")
    return ordered
