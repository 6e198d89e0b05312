"""A backup of the SQLite database as docs/production.md makes it, while the server runs."""

import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import SaveProject
from tests.support.guide_commands import section, simple_commands, typed_commands

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("sqlite3"), reason="sqlite3 is not installed"),
]


def test_a_backup_has_what_was_stored_just_before(
    prefect_api: PrefectServer, save_project: SaveProject, sandbox: Sandbox, tmp_path: Path
) -> None:
    save_project("backed-up", sandbox)
    [typed] = [
        one
        for one in typed_commands(section("production.md", "Back up"))
        if "sqlite3 " in one and "apt" not in one
    ]
    [[_, program, database, command]] = simple_commands(typed)
    assert (program, Path(database).name) == ("sqlite3", "prefect.db")
    subprocess.run([program, prefect_api.log.parent / "prefect.db", command], cwd=tmp_path, check=True)
    with closing(sqlite3.connect(tmp_path / shlex.split(command)[-1])) as backup:
        assert backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert backup.execute("SELECT 1 FROM block_document WHERE name = 'backed-up'").fetchone()
