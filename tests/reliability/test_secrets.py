"""After runs that succeed, fail and break: the token is nowhere on disk and in no output, in clear text."""

import base64
import bz2
import gzip
import json
import pickle
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from sandbox import Fault
from tests.cli.test_flow_commands import protect
from tests.conftest import TOKEN, MakeSandbox, SaveProject
from tests.support.figures import RecordFigure
from tests.support.flow_runs import end_of, log_of, run
from tests.tasks.test_image_actions import lift_and_protect

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
    yield from (place for place, content in contents_of(home) if has_token(content))


async def test_the_token_is_nowhere_in_the_prefect_home_after_runs_of_every_kind(
    save_project: SaveProject,
    prefect_api: PrefectServer,
    make_sandbox: MakeSandbox,
    record_figure: RecordFigure,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")  # of everything in this process, httpcore's headers included
    good, faulty = make_sandbox(snapshots=5, backups=1), make_sandbox(snapshots=4, creating=1)
    faulty.faults.add(Fault(kind="error", operation="change_image_protection", status=503, times=3))
    faulty.faults.add(Fault(kind="action_error", image_ids=frozenset({min(faulty.images)})))
    save_project("good", good)
    save_project("faulty", faulty)
    home = prefect_api.log.parent

    for serializer in ("json", "compressed/pickle"):
        keeping = protect_snapshots.with_options(persist_result=True, result_serializer=serializer)
        await run(keeping, projects=["good", "faulty"])
    completed = await run(protect_snapshots.with_options(persist_result=True), projects=["good"])
    failed = await run(protect_snapshots.with_options(persist_result=True), projects=["faulty"])
    await run(lift_and_protect, project="good", image_id=min(good.images))
    audit = audit_snapshot_protection.with_options(persist_result=True)
    await run(audit)
    good.set_protection(min(good.images), delete=False)
    save_project("faulty", faulty, token=f"{TOKEN}-wrong")
    audited = await run(audit)  # with evidence here, refused there
    assert audited.state.is_failed()
    save_project("faulty", faulty)
    talkative = {
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "hetzner_cloud,httpx,httpcore",
    }
    shell = protect(prefect_api, "--project", "faulty", **talkative)
    unreachable = protect(
        prefect_api, HCLOUD_TOKEN=TOKEN, HCLOUD_ENDPOINT="http://127.0.0.1:9/v1", **talkative
    )
    await log_of(failed.record.id, until=end_of(failed))

    assert completed.state.is_completed()
    assert failed.state.is_failed()
    checkpoint(home)
    printed = capfd.readouterr()
    elsewhere = {
        "log of this process, all loggers at DEBUG": caplog.text,
        "stdout and stderr of this process": printed.out + printed.err,
        "stdout and stderr of the runs from the shell, at DEBUG": "".join(
            done.stdout + done.stderr for done in (shell, unreachable)
        ),
        "the failed run's error, printed and pickled": f"{failed.result!r}{pickle.dumps(failed.result)!r}",
    }
    found = [place for place, content in elsewhere.items() if has_token(content.encode())]
    scanned = Counter(dict.fromkeys(elsewhere, 1))
    for place, content in contents_of(home):
        scanned[place] += 1
        found += [place] if has_token(content) else []
    for place, count in sorted(scanned.items()):
        record_figure("secrets", place=place, scanned=count, found=found.count(place))
    assert not found
    assert scanned["database table events"] > 0
    assert scanned["files in storage/"] > 0


def checkpoint(home: Path) -> None:
    """Bring what sqlite keeps beside the database into it."""
    with sqlite3.connect(home / "prefect.db") as database:
        database.execute("PRAGMA wal_checkpoint(FULL)")
    database.close()


@pytest.mark.parametrize(
    "content",
    [
        TOKEN.encode(),
        f"Bearer {TOKEN}".encode(),
        base64.b64encode(b"ab" + TOKEN.encode() + b"cd"),
        pickle.dumps({"token": TOKEN}),
        gzip.compress(pickle.dumps([TOKEN])),
        json.dumps({"result": base64.b64encode(zlib.compress(pickle.dumps(TOKEN))).decode()}).encode(),
        base64.b64encode(bz2.compress(pickle.dumps((TOKEN,)))),
    ],
)
def test_the_scan_finds_a_token_that_is_there(content: bytes, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database, database:
        database.execute("CREATE TABLE log (message)")
        database.execute("INSERT INTO log VALUES (?)", [content])
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "result").write_bytes(content)
    assert {"database table log", "files in storage/"} <= set(places_with_the_token(tmp_path))
