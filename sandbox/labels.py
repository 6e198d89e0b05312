"""Labels as the API's documentation describes them: keys, values, and the set that an image is given.

A key is `name` or `prefix/name`. A name has 1 to 63 letters, digits, `-`, `_` and `.`, and begins and ends
with a letter or a digit; a value is a name or empty. A prefix is a DNS subdomain: DNS labels joined by dots,
at most 253 characters. No one but Hetzner sets labels with the prefix `hetzner.cloud`.

https://docs.hetzner.cloud/reference/cloud#description/labels
"""

from collections.abc import Mapping
from string import ascii_letters, digits

from sandbox import api_errors

MAX_NAME_LENGTH = 63
MAX_PREFIX_LENGTH = 253
_RESERVED_PREFIX = "hetzner.cloud"
_ALPHANUMERIC = frozenset(ascii_letters + digits)


def validate_labels(labels: Mapping[str, object]) -> None:
    """Reject labels that can't be set, in the words of the API, which names neither the key nor the value."""
    messages = []
    if not all(is_key(key) and not _is_reserved(key) for key in labels):
        messages.append("invalid label key")
    if not all(isinstance(value, str) and is_value(value) for value in labels.values()):
        messages.append("invalid label value")
    if messages:
        raise api_errors.invalid_input("labels", *messages)


def is_key(word: str) -> bool:
    prefix, slash, name = word.rpartition("/")
    return _is_name(name) and (not slash or _is_dns_subdomain(prefix))


def is_value(word: str) -> bool:
    return not word or _is_name(word)


def _is_reserved(key: str) -> bool:
    return key.lower().startswith(f"{_RESERVED_PREFIX}/")


def _is_name(word: str) -> bool:
    return _consists_of(word, _ALPHANUMERIC | set("-_.")) and len(word) <= MAX_NAME_LENGTH


def _is_dns_subdomain(prefix: str) -> bool:
    labels = prefix.split(".")
    return len(prefix) <= MAX_PREFIX_LENGTH and all(
        _consists_of(label, _ALPHANUMERIC | {"-"}) and len(label) <= MAX_NAME_LENGTH for label in labels
    )


def _consists_of(word: str, characters: frozenset[str]) -> bool:
    """Return whether a word has only these characters, and a letter or a digit at both ends."""
    return bool(word) and {word[0], word[-1]} <= _ALPHANUMERIC and characters.issuperset(word)
