"""The token is masked in whatever spelling it comes back: in another case, percent-encoded, or both."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from hetzner_cloud.json_body import parse_body
from hetzner_cloud.redaction import Redactor

MASK = "**********"
TOKENS = ["canary-7f3e9c1ab2d4", "Tok3n" * 12, 'a"b\\c%41/d?e=f&g', "100%-percent"]


def percent(text: str) -> str:
    return "".join(f"%{ord(character):02x}" for character in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "quoted": lambda token: quote(token, safe=""),
    "percent": percent,
    "percent, upper case": lambda token: percent(token).upper(),
    "partly": lambda token: token[:3] + percent(token[3:6]) + token[6:].lower(),
}


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_token_is_masked_when_it_is_spelled(spell: Callable[[str], str], token: str) -> None:
    redactor = Redactor(SecretStr(token))
    assert redactor.redact(f"GET /?t={spell(token)}&a=100%25") == f"GET /?t={MASK}&a=100%25"


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_token_is_masked_in_a_body_when_it_is_spelled(spell: Callable[[str], str]) -> None:
    token = "canary-7f3e9c1ab2d4"
    redactor = Redactor(SecretStr(token))
    assert parse_body(f'{{"a": "/x?t={spell(token)}"}}'.encode(), redactor).content == {"a": f"/x?t={MASK}"}


@pytest.mark.parametrize("text", ["100 %", "%", "%zz%4", "canary-7f3e9c1ab2d", "%\ud800 \u017f\u212a", ""])
def test_another_text_is_left_as_it_is(text: str) -> None:
    assert Redactor(SecretStr("canary-7f3e9c1ab2d4")).redact(text) == text
