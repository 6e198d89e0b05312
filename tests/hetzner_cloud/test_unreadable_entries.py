"""The error of a list with entries that could not be read: it has all others, and its message is bounded."""

import pickle

import pytest

from hetzner_cloud.models import Action, Image
from hetzner_cloud.retry import is_transient
from hetzner_cloud.servers import Server
from hetzner_cloud.unreadable_entries import (
    UnreadableActionsError,
    UnreadableEntriesError,
    UnreadableEntry,
    UnreadableImagesError,
    UnreadableServersError,
)
from tests.support.api_json import action_json, image_json, server_json

IMAGE, ACTION = Image.model_validate(image_json(1)), Action.model_validate(action_json(1))
SERVER = Server.model_validate(server_json(1))
BAD = UnreadableEntry(id=17, type="snapshot", reason="protection: Field required")


def test_it_names_what_is_wrong_with_each() -> None:
    error = UnreadableImagesError([IMAGE], [BAD, UnreadableEntry(id=None, reason="id: no", page=3)])
    assert str(error) == (
        "2 of 3 images could not be read: 17: protection: Field required; "
        "an entry without a valid id on page 3: id: no (unreadable)"
    )


def test_it_names_a_few_when_there_are_thousands() -> None:
    error = UnreadableActionsError([], [BAD] * 2_000)
    assert str(error).endswith("and 1995 more (unreadable)")
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "error",
    [
        UnreadableImagesError([IMAGE], [BAD]),
        UnreadableActionsError([ACTION], [BAD]),
        UnreadableServersError([SERVER], [BAD]),
    ],
    ids=repr,
)
def test_it_survives_pickling_with_all_that_it_has(error: UnreadableEntriesError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
    assert vars(again) == vars(error)


def test_it_is_not_worth_a_retry() -> None:
    assert not is_transient(UnreadableImagesError([IMAGE], [BAD]))
