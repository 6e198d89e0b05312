"""The search for a token in everything that a Prefect server keeps."""

import base64
import bz2
import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from tests.support.fixtures import TOKEN

FORMS = (
    TOKEN.encode(),
    TOKEN[::-1].encode(),
    *(base64.b64encode(b"x" * pad + TOKEN.encode())[4:-4] for pad in range(3)),
)


_MIN_BASE64 = 16


_DEPTH = 4


def has_token(content: bytes, depth: int = _DEPTH) -> bool:
    """Whether the token is in it: as it is, in base64, or inside what is packed or pickled in it."""
    if any(form in content for form in FORMS):
        return True
    return depth > 0 and any(has_token(inner, depth - 1) for inner in _unpacked(content))


def _unpacked(content: bytes) -> Iterator[bytes]:
    if len(content) < len(TOKEN):  # most cells: ids, times, numbers
        return
    for extract in (zlib.decompress, gzip.decompress, bz2.decompress):
        with suppress(ValueError, OSError, EOFError, zlib.error):
            yield extract(content)
    with suppress(ValueError, RecursionError):
        yield from _long_texts(json.loads(content))
    with suppress(ValueError):
        if len(content) >= _MIN_BASE64:
            yield base64.b64decode(content, validate=True)


def _long_texts(value: object) -> Iterator[bytes]:
    """The texts in JSON; Prefect keeps pickled results as base64 in one of them."""
    if isinstance(value, str) and len(value) >= _MIN_BASE64:
        yield value.strip().replace("\n", "").encode()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _long_texts(inner)


def contents_of(home: Path) -> Iterator[tuple[str, bytes]]:
    """Everything in a PREFECT_HOME: each cell of each table of the database, and each file."""
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    content = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield f"database table {table}", content
    for path in home.rglob("*"):
        if path.is_file():
            folder = path.relative_to(home).parts[0]
            yield f"files in {folder}/" if (home / folder).is_dir() else f"file {folder}", path.read_bytes()


def places_with_the_token(home: Path) -> Iterator[str]:
    judged = cache(has_token)  # most cells repeat what others have
    yield from (place for place, content in contents_of(home) if judged(content))


def checkpoint(home: Path) -> None:
    """Bring what sqlite keeps beside the database into it."""
    with sqlite3.connect(home / "prefect.db") as database:
        database.execute("PRAGMA wal_checkpoint(FULL)")
    database.close()
