"""Blocks that the Prefect API cannot decrypt, as after its encryption key was changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from playground.server import PrefectServer


@contextmanager
def undecryptable(server: PrefectServer, *names: str) -> Iterator[None]:
    """Corrupt what the server's database has of these blocks, for as long as the context lasts."""
    rows = {name: _data(server, name) for name in names}
    for name, data in rows.items():
        _write(server, name, data.swapcase())
    try:
        yield
    finally:
        for name, data in rows.items():
            _write(server, name, data)


def _data(server: PrefectServer, name: str) -> str:
    with _database(server) as database:
        [[data]] = database.execute("SELECT data FROM block_document WHERE name = ?", [name]).fetchall()
    return str(data)


def _write(server: PrefectServer, name: str, data: str) -> None:
    with _database(server) as database, database:
        database.execute("UPDATE block_document SET data = ? WHERE name = ?", [data, name])


def _database(server: PrefectServer) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(server.log.with_name("prefect.db"), timeout=30))
