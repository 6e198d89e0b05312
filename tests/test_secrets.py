"""After runs that succeed, fail and break: the token is nowhere on disk and in no output, in clear text."""

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.sandbox import Fault
from playground.server import PrefectServer
from tests.conftest import TOKEN, MakeSandbox, SaveProject
from tests.records import end_of, log_of, run
from tests.test_command_line import protect
from tests.test_image_actions_page import lift_and_protect

FORMS = (
    TOKEN.encode(),
    TOKEN[::-1].encode(),
    *(base64.b64encode(b"x" * pad + TOKEN.encode())[4:-4] for pad in range(3)),
)


def places_with_the_token(home: Path) -> Iterator[str]:
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield from (str(path) for form in FORMS if form in content)


async def test_the_token_is_nowhere_in_the_prefect_home_after_runs_of_every_kind(
    save_project: SaveProject, prefect_api: PrefectServer, make_sandbox: MakeSandbox
) -> None:
    good, faulty = make_sandbox(snapshots=5, backups=1), make_sandbox(snapshots=4, creating=1)
    faulty.faults.add(Fault(kind="error", operation="change_image_protection", status=503, times=3))
    faulty.faults.add(Fault(kind="action_error", image_ids=frozenset({min(faulty.images)})))
    save_project("good", good)
    save_project("faulty", faulty)
    home = prefect_api.log.parent

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
    shell = protect(prefect_api, "--project", "faulty", PREFECT_LOGGING_LEVEL="DEBUG")
    await log_of(failed.record.id, until=end_of(failed))

    assert completed.state.is_completed()
    assert failed.state.is_failed()
    assert TOKEN not in shell.stdout + shell.stderr
    checkpoint(home)
    assert not list(places_with_the_token(home))


def checkpoint(home: Path) -> None:
    """Bring what sqlite keeps beside the database into it."""
    with sqlite3.connect(home / "prefect.db") as database:
        database.execute("PRAGMA wal_checkpoint(FULL)")
    database.close()


async def test_the_scan_finds_a_token_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "result").write_bytes(
        b"\x80\x04" + base64.b64encode(b"ab" + TOKEN.encode() + b"cd")
    )
    (tmp_path / "log").write_text(f"Bearer {TOKEN}")
    assert {Path(place).name for place in places_with_the_token(tmp_path)} == {"result", "log"}
