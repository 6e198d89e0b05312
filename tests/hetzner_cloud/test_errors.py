"""The errors: a tree that survives pickling, and messages that help."""

import copy
import inspect
import pickle
from typing import Any

import pytest

from hetzner_cloud import errors
from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ActionNotFoundError,
    ActionUnfinishedError,
    ApiError,
    DeprecatedEndpointError,
    HetznerCloudError,
    InvalidArgumentError,
    InvalidRequestError,
    InvalidResponseError,
    PermissionDeniedError,
    ReadOnlyTokenError,
    ServerError,
    TransportError,
)
from hetzner_cloud.models import Action
from tests.support.api_json import CORRELATION_ID, action_json

CLASSES = [
    found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, HetznerCloudError)
]
FIELDS = {"fields": [{"name": "label_selector", "messages": ["is malformed", "too long"]}]}


def action(action_id: int, status: str = "running", **more: Any) -> Action:
    return Action.model_validate(action_json(action_id, image_id=action_id + 1000, status=status, **more))


def example(kind: type[HetznerCloudError]) -> HetznerCloudError:
    if issubclass(kind, ActionError):
        failed = action(2, "error", error={"code": "action_failed", "message": "Action failed"})
        return kind([action(1, "success")], [failed], [action(3, progress=80)], [action(4)], "waited 5 s")
    details = ("what went wrong", "some_code", 422, CORRELATION_ID)
    return kind(*details, FIELDS) if issubclass(kind, ApiError) else kind(*details)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy], ids=["p", "c", "d"]
)
def test_an_error_keeps_its_class_message_and_fields_when_it_is_copied(kind: Any, copied: Any) -> None:
    error = example(kind)
    again = copied(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_pickling_when_it_has_nothing_but_a_message(kind: Any) -> None:
    error = kind() if issubclass(kind, ActionError) else kind("what went wrong")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_named_where_the_module_explains_it(kind: type[HetznerCloudError]) -> None:
    assert f"* {kind.__name__}" in (errors.__doc__ or "")


def test_the_tree_is_the_one_that_the_module_explains() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if line.lstrip().startswith("* ")]
    parents: list[str] = ["HetznerCloudError"]
    for line in lines[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split("*")[1].split(":")[0].strip()
        del parents[depth:]
        assert issubclass(getattr(errors, name), getattr(errors, parents[-1])), line
        parents.append(name)
    assert len(lines) == len(CLASSES)


@pytest.mark.parametrize(
    ("details", "text"),
    [
        (("it broke",), "it broke"),
        (("it broke", "server_error"), "it broke (server_error)"),
        (("it broke", "server_error", 500), "it broke (server_error)"),
        (("it broke", "server_error", 500, CORRELATION_ID), f"it broke (server_error, {CORRELATION_ID})"),
        (("it broke", None, 500, CORRELATION_ID), f"it broke ({CORRELATION_ID})"),
    ],
)
def test_an_error_reads_as_in_the_official_clients_when_it_has(details: tuple[Any, ...], text: str) -> None:
    assert str(HetznerCloudError(*details)) == text
    assert repr(TransportError(*details)) == f"TransportError({text!r})"


def test_a_caller_can_catch_by_what_it_can_do_about_it() -> None:
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(ReadOnlyTokenError, PermissionDeniedError)
    assert issubclass(InvalidResponseError, TransportError)
    assert not issubclass(TransportError, ApiError)


@pytest.mark.parametrize(
    ("details", "fields", "suffix"),
    [
        (None, {}, ""),
        ({}, {}, ""),
        (
            FIELDS,
            {"label_selector": ["is malformed", "too long"]},
            ": label_selector: is malformed, too long",
        ),
        ({"fields": []}, {}, ""),
        ({"fields": None}, {}, ""),
        ({"fields": "strange"}, {}, ""),
        ({"fields": 5}, {}, ""),
        ({"fields": [None, "x", []]}, {}, ""),
        ({"fields": [{"name": "n"}]}, {"n": []}, ": n"),
        ({"fields": [{"name": "n", "messages": None}]}, {"n": []}, ": n"),
        ({"fields": [{"name": "n", "messages": "one"}]}, {"n": ["one"]}, ": n: one"),
        ({"fields": [{"name": "n", "messages": 5}]}, {"n": ["5"]}, ": n: 5"),
        ({"fields": [{"name": "n\n", "messages": ["\x1b[31mred"]}]}, {"n": ["[31mred"]}, ": n: [31mred"),
    ],
    ids=repr,
)
def test_an_invalid_request_names_its_fields_when_its_details_are(
    details: Any, fields: dict[str, list[str]], suffix: str
) -> None:
    error = InvalidRequestError("invalid", "invalid_input", 422, CORRELATION_ID, details)
    assert error.fields == fields
    assert str(error) == f"invalid{suffix} (invalid_input, {CORRELATION_ID})"


def test_the_fields_of_an_invalid_request_are_bounded_in_its_message() -> None:
    fields = [{"name": f"field {number}", "messages": ["long " * 1_000]} for number in range(100)]
    assert len(str(InvalidRequestError("invalid", details={"fields": fields}))) < 1_100


@pytest.mark.parametrize(
    ("details", "announcement"),
    [
        ({"announcement": "https://docs.hetzner.cloud/changelog"}, "https://docs.hetzner.cloud/changelog"),
        ({"announcement": None}, ""),
        ({}, ""),
        (None, ""),
        ({"announcement": "a\r\nb"}, "a b"),
    ],
)
def test_a_removed_endpoint_names_its_announcement(details: Any, announcement: str) -> None:
    assert DeprecatedEndpointError("gone", details=details).announcement == announcement


def test_the_details_of_an_error_are_its_own() -> None:
    details = {"limits": [{"name": "snapshots"}]}
    error = ApiError("refused", details=details)
    details.clear()
    assert error.details == {"limits": [{"name": "snapshots"}]}


def test_an_action_error_names_every_action_that_did_not_succeed() -> None:
    assert str(example(ActionFailedError)) == (
        "1 of 4 actions succeeded; "
        "failed: action 2 (change_protection) of image 1002: Action failed (action_failed); "
        "still running: action 3 (change_protection) of image 1003 at 80 %; "
        "not found: action 4 (change_protection) of image 1004 at 0 %; waited 5 s"
    )


def test_an_action_error_names_only_what_there_is() -> None:
    error = ActionUnfinishedError([action(1, "success")], unfinished=[action(2, "paused", progress=7)])
    assert str(error) == (
        "1 of 2 actions succeeded; still running: action 2 (change_protection) of image 1002 at 7 %"
    )


def test_an_action_error_has_the_code_of_the_first_failure() -> None:
    faults = [{"code": code, "message": "no"} for code in ("first", "second")]
    failed = [action(number, "error", error=fault) for number, fault in enumerate(faults, 1)]
    assert ActionFailedError(failed=failed).code == "first"
    assert ActionNotFoundError(missing=[action(1)]).code is None


def test_an_action_error_names_the_first_and_has_all_when_there_are_hundreds() -> None:
    unfinished = [action(number) for number in range(1, 501)]
    error = ActionUnfinishedError(unfinished=unfinished)
    assert all(f"action {number} " in str(error) for number in range(1, 11))
    assert str(error).endswith(" and 490 more")
    assert len(str(error)) < 1_500
    assert error.unfinished == unfinished


def test_a_retry_after_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ServerError("no", "unavailable", 503, None, None, 30.5)))
    assert (error.retry_after_seconds, str(error)) == (30.5, "no (unavailable)")
    assert ServerError("no").retry_after_seconds is None


def test_of_an_invalid_request_with_thousands_of_fields_the_first_are_read() -> None:
    fields = [{"name": f"field {number}", "messages": ["no"] * 1_000} for number in range(1_000)]
    read = InvalidRequestError("invalid", details={"fields": fields}).fields
    assert [*read] == [f"field {number}" for number in range(20)]
    assert all(len(messages) == 5 for messages in read.values())
