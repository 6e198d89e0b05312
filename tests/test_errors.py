"""The error tree: what each says, and that each survives Prefect's pickling whole."""

import pickle
from collections.abc import Iterator

import pytest

from hetzner_cloud import errors
from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ApiError,
    DeprecatedEndpointError,
    HetznerCloudError,
    InvalidRequestError,
)
from hetzner_cloud.models import Action

RUNNING = Action.model_validate(
    {
        "id": 1,
        "status": "running",
        "progress": 80,
        "command": "change_protection",
        "resources": [{"id": 1001, "type": "image"}],
    }
)
FAILED = RUNNING.model_copy(update={"id": 2, "status": "error"})
SUCCEEDED = RUNNING.model_copy(update={"id": 3, "status": "success"})
FAILED_FOR = Action.model_validate(
    {"id": 4, "status": "error", "error": {"code": "action_failed", "message": "Action failed"}}
)


def tree(kind: type[HetznerCloudError] = HetznerCloudError) -> Iterator[type[HetznerCloudError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def an_error(kind: type[HetznerCloudError]) -> HetznerCloudError:
    if issubclass(kind, ActionError):
        return kind([SUCCEEDED], [FAILED_FOR, FAILED], [RUNNING], [RUNNING], "waited 5 s")
    if issubclass(kind, ApiError):
        details = {"fields": [{"name": "delete", "messages": ["is wrong"]}], "announcement": "https://x"}
        return kind("what happened", "a_code", 422, "c0ffee", details)
    return kind("what happened", "a_code", 200, "c0ffee")


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_when_pickled_and_read_again(kind: type[HetznerCloudError]) -> None:
    error = an_error(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    documented = [
        line.strip(" *").partition(":")[0]
        for line in (errors.__doc__ or "").splitlines()
        if line.strip().startswith("*")
    ]
    assert documented == [kind.__name__ for kind in tree()]


@pytest.mark.parametrize(
    ("code", "correlation_id", "text"),
    [
        ("not_found", "c0ffee", "no such image (not_found, c0ffee)"),
        ("not_found", None, "no such image (not_found)"),
        (None, "c0ffee", "no such image (c0ffee)"),
        (None, None, "no such image"),
    ],
)
def test_an_error_reads_as_the_official_clients_print_it(
    code: str | None, correlation_id: str | None, text: str
) -> None:
    assert str(HetznerCloudError("no such image", code, 404, correlation_id)) == text


def test_an_invalid_request_names_the_fields_at_fault() -> None:
    details = {"fields": [{"name": "delete", "messages": ["is wrong", "is missing"]}, {"name": "x"}]}
    error = InvalidRequestError("invalid input", "invalid_input", 422, None, details)
    assert error.fields == {"delete": ["is wrong", "is missing"], "x": []}
    assert str(error) == "invalid input (invalid_input): delete: is wrong, is missing; x: "


@pytest.mark.parametrize(
    "fields", [None, 5, "delete", {"name": "delete"}, [], [5, None, "delete"]], ids=repr
)
def test_an_invalid_request_reads_without_fields_when_they_are(fields: object) -> None:
    error = InvalidRequestError("invalid input", "invalid_input", 422, None, {"fields": fields})
    assert error.fields == {}
    assert str(error) == "invalid input (invalid_input)"


@pytest.mark.parametrize("messages", [5, None, "text", {"a": 1}], ids=repr)
def test_a_field_has_no_messages_when_they_are(messages: object) -> None:
    details = {"fields": [{"name": "delete", "messages": messages}]}
    assert InvalidRequestError("invalid input", details=details).fields == {"delete": []}


def test_hostile_fields_are_shown_on_one_short_line() -> None:
    details = {"fields": [{"name": "a\x1b[31m\n", "messages": ["b\u202e" * 99999, 5]}] * 9}
    text = str(InvalidRequestError("invalid input", details=details))
    assert text.isprintable()
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("details", "announcement"),
    [
        ({"announcement": "https://docs.hetzner.cloud/changelog"}, "https://docs.hetzner.cloud/changelog"),
        ({"announcement": "https://x\n\x1b[31m"}, "https://x [31m"),
        ({"announcement": None}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_gone_endpoint_names_its_announcement_when_it_has_one(
    details: dict[str, object] | None, announcement: str
) -> None:
    assert DeprecatedEndpointError("gone", details=details).announcement == announcement


def test_a_wait_that_ended_badly_names_every_action_that_did_not_succeed() -> None:
    missing = RUNNING.model_copy(update={"id": 5})
    error = ActionFailedError([SUCCEEDED], [FAILED_FOR, FAILED], [RUNNING], [missing], "waited 5 s")
    assert str(error) == (
        "1 of 5 actions succeeded"
        "; failed: action 4: Action failed (action_failed)"
        ", action 2 (change_protection) of image 1001: no reason given"
        "; still running: action 1 (change_protection) of image 1001 at 80 %"
        "; not found: action 5 (change_protection) of image 1001 at 80 %"
        "; waited 5 s"
    )
    assert error.code == "action_failed"


def test_a_wait_that_ended_badly_has_no_code_when_no_action_gave_a_reason() -> None:
    assert ActionFailedError(failed=[FAILED]).code is None
