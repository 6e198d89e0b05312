"""Data embedded into a page as an HTML comment, which is stored with the page and not shown."""

import re
import zlib
from base64 import b64decode, b64encode

_MAX_BYTES = 64 * 1024 * 1024


def embed(name: str, data: str, *, max_bytes: int | None = None) -> str:
    """Make a comment that holds data under a name.

    Raises:
        ValueError: The data is larger than what is extracted.
    """
    encoded, max_bytes = data.encode(), max_bytes or _MAX_BYTES
    if len(encoded) > max_bytes:
        raise ValueError(f"{len(encoded)} bytes are more than the {max_bytes} that can be stored")
    return f"<!-- {name} {b64encode(zlib.compress(encoded, 9)).decode()} -->"


def extract(name: str, page: str, *, max_bytes: int = _MAX_BYTES) -> str | None:
    """Return the data that a page holds under a name; None if there is nothing that can be read.

    It is decompressed up to a limit: a small page can hold gigabytes.
    """
    if not (found := re.search(rf"<!-- {re.escape(name)} (\S+) -->", page)):
        return None
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(b64decode(found[1], validate=True), max_bytes + 1)
        return data.decode() if stream.eof else None
    except (ValueError, zlib.error):
        return None
