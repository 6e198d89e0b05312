"""Whatever comes back from the network can contain the token: it is masked before anything reads it."""

from pydantic import SecretStr

from hetzner_cloud.sanitize import printable

_MASK = b"**********"
_MIN_TOKEN_LENGTH = 8  # a shorter one is none of Hetzner's, and may be a word of the response


class Redactor:
    """Masks one token."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def redact(self, received: bytes) -> bytes:
        """Mask the token in what was received."""
        token = self._token.get_secret_value().encode()
        return received.replace(token, _MASK) if len(token) >= _MIN_TOKEN_LENGTH else received

    def redact_text(self, text: object) -> str:
        """Mask the token in a header or an error, and make it printable."""
        return printable(self.redact(str(text).encode()).decode())
