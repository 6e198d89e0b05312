"""Data inside of a page: packed into an HTML comment, which is kept with the page and not shown."""

import re
import zlib
from base64 import b64decode, b64encode

_MAX_BYTES = 64 * 1024 * 1024


def embed(name: str, text: str) -> str:
    """Pack a text into a comment of a name."""
    return f"<!-- {name} {b64encode(zlib.compress(text.encode(), 9)).decode()} -->"


def extract(name: str, page: str) -> str | None:
    """Unpack the text of a name from somewhere in a page; None if there is nothing that can be read."""
    if not (found := re.search(rf"<!-- {re.escape(name)} (\S+) -->", page)):
        return None
    try:
        return zlib.decompressobj().decompress(b64decode(found[1], validate=True), _MAX_BYTES).decode()
    except (ValueError, zlib.error):
        return None
