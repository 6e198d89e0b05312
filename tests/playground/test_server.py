"""The Prefect server of the demo, the playground and the tests: the one that was started, or an error."""

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from playground.server import PrefectServer, ServerNotStartedError, _empty, _locked, prefect_server
from tests.support.machine import kill_all, processes_of
from tests.support.waits import until

ROOT = Path(__file__).parents[2]
STARTS_A_SERVER_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from playground.server import prefect_server
with prefect_server(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_server_is_started_on_a_port_where_another_one_responds(
    prefect_api: PrefectServer, tmp_path: Path
) -> None:
    port = int(prefect_api.ui_url.rpartition(":")[2])
    with pytest.raises(ServerNotStartedError, match=f"Port {port} is already in use"):
        start_and_stop(tmp_path / "home", port=port)


def test_no_server_is_started_in_the_folder_of_a_running_one(prefect_api: PrefectServer) -> None:
    with pytest.raises(ServerNotStartedError, match=r"Another Prefect server \(process \d+\) uses"):
        start_and_stop(prefect_api.log.parent, empty_home=True)
    assert (prefect_api.log.parent / "prefect.db").exists()


@pytest.mark.e2e
def test_a_server_ends_and_its_folder_is_free_when_the_process_that_started_it_is_killed(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-c", STARTS_A_SERVER_AND_IS_KILLED, str(home)]
    try:
        done = subprocess.run(command, cwd=ROOT, check=False, timeout=240)
        assert done.returncode == -signal.SIGKILL
        until(lambda: not processes_of(home))
        with _locked(home):
            assert (home / "server.log").exists()
    finally:
        kill_all(home)


def test_a_folder_with_files_of_others_is_not_emptied(tmp_path: Path) -> None:
    file = tmp_path / "home" / "thesis.txt"
    file.parent.mkdir()
    file.write_text("years of work")
    with pytest.raises(ServerNotStartedError, match="has files that are not from an earlier playground"):
        start_and_stop(file.parent, empty_home=True)
    assert file.read_text() == "years of work"


def test_what_an_earlier_playground_has_stored_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    for name in ("server.log", "prefect.db", "storage/result"):
        (tmp_path / name).touch()
    _empty(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_port_that_may_not_be_used_is_not_said_to_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(_address: tuple[str, int]) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket, "create_server", deny)
    with pytest.raises(ServerNotStartedError, match=r"^Port 80 cannot be used \(Permission denied\)\.$"):
        start_and_stop(tmp_path / "home", port=80)


def start_and_stop(home: Path, *, port: int = 0, empty_home: bool = False) -> None:
    with prefect_server(home, port=port, empty_home=empty_home):
        pass
