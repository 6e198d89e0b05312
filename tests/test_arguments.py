"""What a caller passes is refused before any request when it cannot be right."""

import pytest

from hetzner_cloud import arguments
from hetzner_cloud.arguments import MAX_ID
from hetzner_cloud.errors import InvalidArgumentError
from tests.conftest import TOKEN


@pytest.mark.parametrize("value", [1, 504538401287250, MAX_ID])
def test_an_id_is_accepted_when_it_is(value: int) -> None:
    assert arguments.check_id(value, "The image id") == value


@pytest.mark.parametrize(
    "value", [0, -1, MAX_ID + 1, True, False, None, "1", 1.0, float("nan"), "1/actions", [1]], ids=repr
)
def test_an_id_is_refused_when_it_is(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="The image id must be an integer from 1 to"):
        arguments.check_id(value, "The image id")


@pytest.mark.parametrize("value", [1, 0, None, "true", "", [True]], ids=repr)
def test_a_flag_is_refused_when_it_is(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="The protection must be True or False"):
        arguments.check_flag(value, "The protection")


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        (None, []),
        ([], []),
        ("snapshot", ["snapshot"]),
        (["snapshot", "backup"], ["snapshot", "backup"]),
        (iter(["app"]), ["app"]),
    ],
)
def test_choices_are_a_list_when_given_as(values: list[str] | str | None, chosen: list[str]) -> None:
    assert arguments.check_choices(values, arguments.IMAGE_TYPES, "image type") == chosen


@pytest.mark.parametrize("values", ["", "Snapshot", "snapshot,backup", ["snapshot", "disk"], [None]], ids=repr)
def test_choices_are_refused_with_those_that_are_known_when(values: list[str] | str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"Unknown image type: .* system, app, snapshot, backup"):
        arguments.check_choices(values, arguments.IMAGE_TYPES, "image type")


def test_sort_keys_are_accepted_bare_and_with_a_direction() -> None:
    keys = ["id", "command:asc", "status:desc", "started", "finished:desc"]
    assert arguments.check_sort(keys) == keys


@pytest.mark.parametrize("key", ["name", "id:up", "id:", ":asc", "id:asc:desc", "ID"])
def test_a_sort_key_is_refused_when_it_is(key: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Unknown sort"):
        arguments.check_sort(key)


def test_a_label_selector_loses_the_blanks_around_it() -> None:
    assert arguments.check_label_selector("  env=prod, !temporary ") == "env=prod, !temporary"


@pytest.mark.parametrize("text", [None, 5, ["env"], b"env", "env=a=b"], ids=repr)
def test_a_label_selector_is_refused_when_it_is(text: object) -> None:
    with pytest.raises(InvalidArgumentError, match="label selector"):
        arguments.check_label_selector(text)


@pytest.mark.parametrize("seconds", [0.001, 1, 86400.0])
def test_a_time_out_is_accepted_when_it_is(seconds: float) -> None:
    assert arguments.check_timeout(seconds) == seconds


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_time_out_is_refused_when_it_is(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match="time-out"):
        arguments.check_timeout(seconds)


def test_a_token_is_returned_as_it_is() -> None:
    assert arguments.check_token(TOKEN) == TOKEN


def test_an_empty_token_is_refused_with_advice() -> None:
    with pytest.raises(InvalidArgumentError, match="paste the API token"):
        arguments.check_token("")


@pytest.mark.parametrize(
    "token", [f" {TOKEN}", f"{TOKEN}\n", f"{TOKEN}\r\nX: y", f"{TOKEN}\t", f"{TOKEN}\x00", f"{TOKEN}ü"], ids=repr
)
def test_a_token_is_refused_without_being_shown_when_it_is(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="copy it again") as caught:
        arguments.check_token(token)
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("https://api.hetzner.cloud/v1", "https://api.hetzner.cloud/v1"),
        ("https://api.hetzner.cloud/v1/", "https://api.hetzner.cloud/v1"),
        ("https://proxy.example:8443/hetzner/v1//", "https://proxy.example:8443/hetzner/v1"),
        ("HTTPS://api.hetzner.cloud/v1", "HTTPS://api.hetzner.cloud/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("http://localhost/v1", "http://localhost/v1"),
    ],
)
def test_an_endpoint_is_accepted_without_its_last_slash_when_it_is(endpoint: str, base: str) -> None:
    assert arguments.check_endpoint(endpoint) == base


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "api.hetzner.cloud/v1",
        "ftp://api.hetzner.cloud/v1",
        "https://",
        "https:///v1",
        "https://host:port/v1",
        "https://host:99999/v1",
        "https://[::1/v1",
        "https://ho st/v1",
        "https://host/v1\n",
        "https://host\x00/v1",
        "https://host\x1b/v1",
        "https://☃..x/v1",
        f"https://host/{'a' * 70000}",
    ],
    ids=lambda endpoint: repr(endpoint)[:40],
)
def test_an_endpoint_is_refused_as_no_url_when_it_is(endpoint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a URL such as"):
        arguments.check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        f"https://{TOKEN}@host/v1",
        f"https://user:{TOKEN}@host/v1",
        "https://@host/v1",
        f"https://host/v1?token={TOKEN}",
        "https://host/v1?",
        f"https://host/v1#{TOKEN}",
        "https://host/v1#",
    ],
)
def test_an_endpoint_is_refused_without_being_shown_when_it_carries_more(endpoint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no user, password, query or fragment") as caught:
        arguments.check_endpoint(endpoint)
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize("host", ["api.hetzner.cloud", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io"])
def test_plain_http_is_refused_when_it_leaves_this_machine_for(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="would send the token unencrypted"):
        arguments.check_endpoint(f"http://{host}/v1")


@pytest.mark.parametrize("share", [0, 0.1, 0.99])
def test_a_reserve_is_accepted_when_it_is(share: float) -> None:
    assert arguments.check_reserve(share) == share


@pytest.mark.parametrize("share", [-0.1, 1, 2, float("nan"), float("inf")])
def test_a_reserve_is_refused_when_it_is(share: float) -> None:
    with pytest.raises(InvalidArgumentError, match="reserve"):
        arguments.check_reserve(share)
