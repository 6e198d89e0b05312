"""The sandbox validates labels as the API does."""

import pytest

from tests.support.sandbox_client import FIRST, asked, error_of

DOMAIN = ".".join(["p" * 63, "q" * 63, "r" * 63, "s" * 61])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("just-a-key", ""),
        ("env", "prod"),
        ("a.B-c_9", "0.x_Y-z"),
        ("example.com/my", "label"),
        ("n" * 63, "v" * 63),
        (f"{DOMAIN}/n", "1"),
        ("example.hetzner.cloud/my", "label"),
        ("hetzner.cloud", "label"),
    ],
    ids=lambda text: text[:12],
)
def test_a_label_is_set_when_it_is_as_documented(key: str, value: str) -> None:
    with asked(snapshots=1) as (sandbox, client):
        answer = client.put(f"/images/{FIRST}", json={"labels": {key: value}})
        assert answer.json()["image"]["labels"] == sandbox.images[FIRST]["labels"] == {key: value}


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/k", "k/", "-k", "k-", "_k", "k.", "a b", "a,b", "a=b", "a/b/c", "ü", "k\n", "k\0"),
        *("a_b/k", "a..b/k", "-a/k", "a-/k", f"{'p' * 64}/k", f"{DOMAIN}a/k", "n" * 64, f"a/{'n' * 64}"),
        *("hetzner.cloud/k", "Hetzner.Cloud/k"),
    ],
    ids=lambda key: ascii(key)[:16],
)
def test_labels_are_rejected_when_a_key_is_not_valid(key: str) -> None:
    assert _messages_of({"env": "prod", key: "x"}) == ["invalid label key"]


@pytest.mark.parametrize(
    "value",
    ["-v", "v-", "v.", "_", " ", "a b", "a/b", "http://example.com", "é", "v\n", "v\0", "v" * 64],
    ids=lambda value: ascii(value)[:16],
)
def test_labels_are_rejected_when_a_value_is_not_valid(value: str) -> None:
    assert _messages_of({"env": "prod", "k": value}) == ["invalid label value"]


@pytest.mark.parametrize("value", [None, 1, True, [], {}, {"a": "b"}], ids=repr)
def test_labels_are_rejected_when_a_value_is_no_string(value: object) -> None:
    assert _messages_of({"k": value}) == ["invalid label value"]


def test_labels_are_rejected_with_each_message_once_when_several_are_not_valid() -> None:
    assert _messages_of({"-": "-", "+": "+"}) == ["invalid label key", "invalid label value"]


@pytest.mark.parametrize("labels", [None, [], "env=prod", 1])
def test_labels_are_rejected_when_they_are_no_object(labels: object) -> None:
    assert _messages_of(labels) == ["must be an object"]


def _messages_of(labels: object) -> list[str]:
    """What the API says of the field when it is sent these labels; nothing is changed."""
    with asked(snapshots=1) as (sandbox, client):
        before = dict(sandbox.images[FIRST])
        answer = client.put(f"/images/{FIRST}", json={"description": "changed", "labels": labels})
        assert error_of(answer) == (422, "invalid_input")
        assert sandbox.images[FIRST] == before
        [field] = answer.json()["error"]["details"]["fields"]
        assert field["name"] == "labels"
        messages: list[str] = field["messages"]
        return messages
