"""The checks of what a caller passes: what is accepted, and what is rejected before any request."""

from collections.abc import Callable
from typing import Any

import pytest

from hetzner_cloud import validation
from hetzner_cloud.errors import InvalidArgumentError
from tests.support.api_json import MAX_ID, TOKEN


@pytest.mark.parametrize("number", [1, 2, 504538401287250, MAX_ID])
def test_an_id_is_accepted_when_it_is(number: int) -> None:
    assert validation.validate_id(number, "The image id") == number


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        MAX_ID + 1,
        10**5_000,
        -(10**5_000),
        1.0,
        float("nan"),
        "1",
        "",
        b"1",
        None,
        True,
        False,
        [1],
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_id_is_rejected_when_it_is(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The image id must be an integer from 1 to") as caught:
        validation.validate_id(value, "The image id")
    assert len(str(caught.value)) < 200


def test_an_id_is_shown_in_its_rejection() -> None:
    with pytest.raises(InvalidArgumentError, match=r"from 1 to 9007199254740991, not '4711'\.$"):
        validation.validate_id("4711", "The image id")


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_is_accepted_when_it_is(*, flag: bool) -> None:
    validation.validate_flag(flag, "The protection")


@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}])
def test_a_flag_is_rejected_when_it_is(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The protection must be True or False, not"):
        validation.validate_flag(value, "The protection")


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        (None, []),
        ([], []),
        ((), []),
        ("snapshot", ["snapshot"]),
        (["snapshot"], ["snapshot"]),
        (("snapshot", "backup"), ["snapshot", "backup"]),
        (iter(["app", "system"]), ["app", "system"]),
    ],
)
def test_choices_are_returned_as_a_list_when_they_are(values: Any, chosen: list[str]) -> None:
    assert validation.validate_choices(values, validation.IMAGE_TYPES, "image type") == chosen


@pytest.mark.parametrize(
    "values", ["", "Snapshot", "snapshot,backup", " snapshot", ["snapshot", "disk"], [None], [5], b"snapshot"]
)
def test_choices_are_rejected_with_what_is_known_when_they_are(values: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Valid values: system, app, snapshot, backup") as caught:
        validation.validate_choices(values, validation.IMAGE_TYPES, "image type")
    assert str(caught.value).startswith("Unknown image type: ")


@pytest.mark.parametrize("values", [5, True, object()], ids=lambda value: type(value).__name__)
def test_choices_are_rejected_when_they_are_neither_a_string_nor_several(values: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a string or several"):
        validation.validate_choices(values, validation.IMAGE_TYPES, "image type")


@pytest.mark.parametrize("key", ["id", "command", "status", "started", "finished"])
@pytest.mark.parametrize("direction", ["", ":asc", ":desc"])
def test_actions_are_sorted_by(key: str, direction: str) -> None:
    assert validation.validate_sort(key + direction) == [key + direction]


@pytest.mark.parametrize(
    "sort", ["", "name", "ID", "id:", "id:up", "id:ASC", "id:asc:desc", ":asc", "id asc"]
)
def test_a_sort_is_rejected_when_it_is(sort: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^Unknown sort: .* Valid values: id, id:asc, id:desc, command"
    ):
        validation.validate_sort(["id", sort])


@pytest.mark.parametrize(
    ("text", "sent"), [("", ""), ("  \n", ""), ("env=prod", "env=prod"), (" env=prod,!tmp ", "env=prod,!tmp")]
)
def test_a_label_selector_is_sent_without_surrounding_whitespace(text: str, sent: str) -> None:
    assert validation.validate_label_selector(text) == sent


@pytest.mark.parametrize("selector", [None, 5, ["env=prod"], {"env": "prod"}, b"env=prod"])
def test_a_label_selector_is_rejected_when_it_is_no_string(selector: object) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a string"):
        validation.validate_label_selector(selector)


def test_a_label_selector_is_rejected_when_it_is_malformed() -> None:
    with pytest.raises(InvalidArgumentError, match="'env=prod='"):
        validation.validate_label_selector("!tmp,env=prod=")


@pytest.mark.parametrize("seconds", [0.001, 1, 900, 1e9])
def test_a_timeout_is_accepted_when_it_is(seconds: float) -> None:
    assert validation.validate_timeout(seconds) == seconds


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), float("-inf"), None, "5", True])
def test_a_timeout_is_rejected_when_it_is(seconds: object) -> None:
    with pytest.raises(InvalidArgumentError, match="more than 0 seconds"):
        validation.validate_timeout(seconds)


@pytest.mark.parametrize("share", [0, 0.0, 0.1, 0.5, 0.999])
def test_a_reserve_is_accepted_when_it_is(share: float) -> None:
    assert validation.validate_reserve(share) == share


@pytest.mark.parametrize("share", [-0.001, 1, 1.5, 10, float("nan"), float("inf")])
def test_a_reserve_is_rejected_when_it_is(share: float) -> None:
    with pytest.raises(InvalidArgumentError, match="from 0 to below 1"):
        validation.validate_reserve(share)


@pytest.mark.parametrize("token", ["a", TOKEN, "Az09" * 16, "!#$~"])
def test_a_token_is_accepted_when_a_header_can_carry_it(token: str) -> None:
    assert validation.validate_token(token) == token


def test_a_token_is_rejected_when_it_is_empty() -> None:
    with pytest.raises(InvalidArgumentError, match="empty"):
        validation.validate_token("")


@pytest.mark.parametrize(
    "place", ["{} ", " {}", "{}\n", "{}\r\nX-Evil: 1", "{}\t", "{}\x00", "{}\x7f", "{}é", "{}\u200b"]
)
def test_a_token_is_rejected_and_not_shown_when_it_is(place: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Copy only the token") as caught:
        validation.validate_token(place.format(TOKEN))
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.args}"


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("https://api.hetzner.cloud/v1", "https://api.hetzner.cloud/v1"),
        ("https://api.hetzner.cloud/v1/", "https://api.hetzner.cloud/v1"),
        ("https://proxy.example:8443", "https://proxy.example:8443"),
        ("https://bücher.example/v1", "https://bücher.example/v1"),
        ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.1.2.3/v1", "http://127.1.2.3/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("http://localhost:8080/v1//", "http://localhost:8080/v1"),
    ],
)
def test_an_endpoint_is_accepted_without_a_slash_at_its_end(endpoint: str, base: str) -> None:
    assert validation.validate_endpoint(endpoint) == base


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/v1",
        "api.hetzner.cloud/v1",
        "https:///v1",
        "ftp://api.hetzner.cloud/v1",
        "file:///etc/passwd",
        "https://host:port/v1",
        "https://host:99999/v1",
        "https://ho st/v1",
        "https://host/v1\n",
        "https://host/v1\x01",
        "\x01https://host/v1",
        "https://[::1/v1",
        "https://xn--/v1",
        "https://☃\u0300-.example/v1",
        "https://host/" + "v1/" * 30_000,
    ],
    ids=lambda endpoint: ascii(endpoint)[:40],
)
def test_an_endpoint_is_rejected_when_it_is_no_url(endpoint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a URL such as"):
        validation.validate_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        f"https://user:{TOKEN}@api.hetzner.cloud/v1",
        f"https://{TOKEN}@api.hetzner.cloud/v1",
        "https://@api.hetzner.cloud/v1",
        f"https://api.hetzner.cloud/v1?token={TOKEN}",
        "https://api.hetzner.cloud/v1?",
        "https://api.hetzner.cloud/v1#images",
        "https://api.hetzner.cloud/v1#",
        "http://localhost\\@evil.test/v1",
    ],
)
def test_an_endpoint_is_rejected_when_it_carries_more(endpoint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no user, password, query or fragment") as caught:
        validation.validate_endpoint(endpoint)
    assert TOKEN not in f"{caught.value} {caught.value.args}"


@pytest.mark.parametrize(
    "host",
    [
        "api.hetzner.cloud",
        "10.0.0.1",
        "0.0.0.0",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "127.1",
        "2130706433",
        "[2001:db8::1]",
    ],
)
def test_an_endpoint_is_rejected_when_the_token_would_travel_unencrypted(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="unencrypted"):
        validation.validate_endpoint(f"http://{host}/v1")


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: validation.validate_id(0, "The id"),
        lambda: validation.validate_flag(None, "The flag"),
        lambda: validation.validate_sort("up"),
        lambda: validation.validate_token(""),
        lambda: validation.validate_endpoint(""),
        lambda: validation.validate_timeout(0),
        lambda: validation.validate_reserve(2),
    ],
)
def test_a_rejection_is_a_value_error_too(refuse: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        refuse()


TOO_LONG = ["x" * 2**20, 10**5_000]


@pytest.mark.parametrize("value", TOO_LONG, ids=["text", "digits"])
@pytest.mark.parametrize(
    "validate",
    [
        lambda value: validation.validate_id(value, "The image id"),
        lambda value: validation.validate_limit(-value if isinstance(value, int) else value),
        lambda value: validation.validate_flag(value, "The protection"),
        lambda value: validation.validate_choices([value], ["a"], "sort"),
        validation.validate_sort,
        validation.validate_label_selector,
        lambda value: validation.validate_timeout(-value if isinstance(value, int) else value),
        lambda value: validation.validate_reserve(value if isinstance(value, int) else 2.0),
    ],
    ids=["id", "limit", "flag", "choices", "sort", "label selector", "timeout", "reserve"],
)
def test_a_rejection_is_short_when_the_value_is(validate: Callable[[Any], object], value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        validate(value)
    assert len(str(caught.value)) < 400


def test_a_timeout_of_thousands_of_digits_is_rejected_because_nothing_can_wait_for_it() -> None:
    with pytest.raises(InvalidArgumentError, match="timeout must be more than 0 seconds"):
        validation.validate_timeout(10**5_000)


def test_a_label_selector_is_rejected_when_it_is_longer_than_an_address_may_be() -> None:
    requirements = ",".join(f"key{number}" for number in range(100_000))
    with pytest.raises(InvalidArgumentError, match="longer than 4,000 characters"):
        validation.validate_label_selector(requirements)
    assert validation.validate_label_selector(requirements[:4_000].rstrip(","))
