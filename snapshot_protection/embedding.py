"""Data embedded into a page as an HTML comment, which is stored with the page and not shown."""

import re
import zlib
from base64 import b64decode, b64encode

_MAX_BYTES = 64 * 1024 * 1024


def embed(name: str, data: str) -> str:
    """Make a comment that holds data under a name."""
    return f"<!-- {name} {b64encode(zlib.compress(data.encode(), 9)).decode()} -->"


def extract(name: str, page: str) -> str | None:
    """Return the data that a page holds under a name; None if there is nothing that can be read."""
    if not (found := re.search(rf"<!-- {re.escape(name)} (\S+) -->", page)):
        return None
    try:
        return zlib.decompressobj().decompress(b64decode(found[1], validate=True), _MAX_BYTES).decode()
    except (ValueError, zlib.error):
        return None
