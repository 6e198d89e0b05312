"""Whatever comes back from the network can contain the token: it is masked before anything reads it."""

import re

from pydantic import SecretStr
from pydantic_core import to_json

from hetzner_cloud.sanitize import printable

_MASK = "**********"
_MIN_TOKEN_LENGTH = 8  # a shorter one is none of Hetzner's, and may be a word of the response
_ESCAPE = re.compile(rb'\\(?:["\\/]|u00[2-7])')  # in JSON, of a character that a token can have


class Redactor:
    """Masks one token."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def is_in(self, received: bytes, content: object) -> bool:
        """Return whether a string of JSON contains the token, however it is spelled in what was received.

        Written again, JSON has one spelling for each character; that costs time, so only where escapes are.
        """
        token = self._token.get_secret_value()
        if token.encode() in received:
            return True
        return bool(_ESCAPE.search(received)) and to_json(token)[1:-1] in to_json(content)

    def redact(self, text: str) -> str:
        """Mask the token in a string."""
        token = self._token.get_secret_value()
        return text.replace(token, _MASK) if len(token) >= _MIN_TOKEN_LENGTH else text

    def redact_text(self, text: object) -> str:
        """Mask the token in a header or an error, and make it printable."""
        return printable(self.redact(str(text)))
