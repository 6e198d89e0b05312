"""After runs that succeed, fail and break: the token is nowhere on disk and in no output, in plain text."""

import base64
import bz2
import gzip
import json
import pickle
import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from sandbox import Fault
from tests.support.example_flow import unprotect_and_protect
from tests.support.figures import RecordFigure
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject
from tests.support.flow_runs import end_of, log_of, run
from tests.support.shell import protect
from tests.support.token_scan import checkpoint, contents_of, has_token, places_with_the_token


@pytest.mark.e2e  # it runs each kind of flow
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
    await run(unprotect_and_protect, project="good", image_id=min(good.images))
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
        "PREFECT_LOGGING_EXTRA_LOGGERS": "blocks,hetzner_cloud,reporting,httpx,httpcore",
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
    judged = cache(has_token)  # most cells repeat what others have
    for place, content in contents_of(home):
        scanned[place] += 1
        found += [place] if judged(content) else []
    for place, count in sorted(scanned.items()):
        record_figure("secrets", place=place, scanned=count, found=found.count(place))
    assert not found
    assert scanned["database table events"] > 0
    assert scanned["files in storage/"] > 0


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
    ids=["plain", "header", "base64", "pickled", "gzip", "packed in JSON", "bz2 in base64"],
)
def test_the_scan_finds_a_token_that_is_there(content: bytes, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database, database:
        database.execute("CREATE TABLE log (message)")
        database.execute("INSERT INTO log VALUES (?)", [content])
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "result").write_bytes(content)
    assert {"database table log", "files in storage/"} <= set(places_with_the_token(tmp_path))
