"""Anything that the network returns can contain the token: it is masked before anything reads it."""

import re
from urllib.parse import unquote, unquote_to_bytes

from pydantic import SecretStr
from pydantic_core import to_json

from hetzner_cloud.sanitize import printable

_MASK = "**********"
_MIN_TOKEN_LENGTH = 8  # a shorter one is none of Hetzner's, and may be a word of the response
_ESCAPE = re.compile(rb'\\(?:["\\/]|u00[2-7])')  # in JSON, of a character that a token can have


class Redactor:
    """Masks one token: also in another case, as in headers, and percent-encoded, as in addresses."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def is_in(self, received: bytes, content: object) -> bool:
        """Return whether a string of JSON contains the token, however it is spelled in what was received.

        Written again, JSON has one spelling for each character; that costs time, so only where escapes are.
        """
        token = self._token.get_secret_value()
        spellings = {token.encode().lower(), to_json(token)[1:-1].lower()}
        written = to_json(content) if _ESCAPE.search(received) else received
        forms = (received.lower(), written.lower(), unquote_to_bytes(written).lower())
        return any(spelling in form for spelling in spellings for form in forms)

    def redact(self, text: str) -> str:
        """Mask the token in a string."""
        token = self._token.get_secret_value()
        if len(token) < _MIN_TOKEN_LENGTH:
            return text
        forms = (text, unquote(text)) if "%" in text else (text,)
        if "%" not in token and not any(token.lower() in form.lower() for form in forms):
            return text
        return re.sub(_spellings(token), _MASK, text, flags=re.IGNORECASE | re.ASCII)

    def redact_text(self, text: object) -> str:
        """Mask the token in a header or an error, and make it printable."""
        return printable(self.redact(str(text)))


def _spellings(token: str) -> str:
    return "".join(f"(?:{re.escape(character)}|%{ord(character):02x})" for character in token)
