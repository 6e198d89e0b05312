"""Whatever comes back from the network can contain the token: it is masked before anything reads it."""

import re

from pydantic import SecretStr

from hetzner_cloud.sanitize import printable

_MASK = "**********"
_MIN_TOKEN_LENGTH = 8  # a shorter one is none of Hetzner's, and may be a word of the response
_ESCAPE = re.compile(rb'\\(?:["\\/]|u00[2-7])')  # in JSON, of a character that a token can have


class Redactor:
    """Masks one token."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def may_be_in(self, received: bytes) -> bool:
        """Return whether a string of this JSON can contain the token; it seldom can."""
        return self._token.get_secret_value().encode() in received or bool(_ESCAPE.search(received))

    def redact(self, text: str) -> str:
        """Mask the token in a string."""
        token = self._token.get_secret_value()
        return text.replace(token, _MASK) if len(token) >= _MIN_TOKEN_LENGTH else text

    def redact_text(self, text: object) -> str:
        """Mask the token in a header or an error, and make it printable."""
        return printable(self.redact(str(text)))
