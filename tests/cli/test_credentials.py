"""Saving and deleting tokens from the shell."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument

import cli.credentials
from blocks.credentials import HetznerCloudCredentials
from blocks.saved_blocks import read_saved_block
from cli.credentials import delete_credentials, require_endpoint, save_credentials
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer, free_port
from records.known_projects import load_known_projects, update_known_projects
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, SaveProject
from tests.support.shell import ROOT, environment_of, from_the_shell
from tests.support.undecryptable_blocks import undecryptable
from tests.support.waits import until

pytestmark = pytest.mark.e2e  # each runs the command as a process

NAME = "saved-from-the-shell"


@pytest.fixture(autouse=True)
def _forget(engine: PrefectServer) -> Iterator[None]:
    _delete()
    yield
    _delete()


def _delete() -> None:
    with suppress(ValueError):
        HetznerCloudCredentials.delete(NAME, _sync=True)  # type: ignore[call-arg]  # of the sync wrapper


def save(server: PrefectServer, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    return credentials(server, "save", *arguments, token=token)


def credentials(server: PrefectServer, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "credentials", *arguments],
        cwd=ROOT,
        env=environment_of(server, **({"HCLOUD_TOKEN": token} if token else {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Still processing items" not in done.stderr  # Prefect's, at exit
    return done


@contextmanager
def prompted(
    server: PrefectServer, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], int, bytearray]]:
    """Run a command on a terminal up to its prompt; gives the terminal, and what it has shown."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "credentials", *arguments],
        cwd=ROOT,
        env=environment_of(server),
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
    )
    os.close(its_end)
    try:
        shown = bytearray()
        with suppress(OSError):  # how a terminal ends
            while not shown.endswith((b"not shown): ", b"[y/N] ")):
                shown += os.read(terminal, 1024)
        until(lambda: waits(process))  # a signal before it reads would not interrupt the read
        yield process, terminal, shown
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def waits(process: subprocess.Popen[bytes]) -> bool:
    state = Path(f"/proc/{process.pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "S"


def answer(terminal: int, text: str, shown: bytearray) -> None:
    """Type a text at a prompt, and read what the terminal shows until the command has ended."""
    os.write(terminal, text.encode())
    with suppress(OSError):  # how a terminal ends
        while piece := os.read(terminal, 1024):
            shown += piece


def load(name: str = NAME) -> HetznerCloudCredentials:
    block = HetznerCloudCredentials.load(name, _sync=True)  # type: ignore[call-arg]  # of the sync wrapper
    assert isinstance(block, HetznerCloudCredentials)
    return block


def test_a_project_that_another_has_just_saved_is_not_replaced(
    sandbox: Sandbox,
    save_project: SaveProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def load_before(_name: str) -> None:
        """As it was before the other one saved it."""

    save_project(NAME, sandbox)
    monkeypatch.setattr(cli.credentials, "_load_existing", load_before)
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    assert save_credentials(NAME, endpoint=sandbox.endpoint) == 1
    assert f"Not saved: Project '{NAME}' already exists; use --replace" in capsys.readouterr().err


def test_a_token_is_tried_with_one_request_and_saved(engine: PrefectServer, sandbox: Sandbox) -> None:
    done = save(engine, NAME, "--endpoint", sandbox.endpoint, token=TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"Saved the token of the project '{NAME}'" in done.stdout
    assert "Write access cannot be checked" in done.stdout
    assert load().token.get_secret_value() == TOKEN
    assert load().endpoint == sandbox.endpoint
    assert [record.method for record in sandbox.requests] == ["GET"]


def test_a_token_that_is_refused_is_not_saved(engine: PrefectServer, sandbox: Sandbox) -> None:
    done = save(engine, NAME, "--endpoint", sandbox.endpoint, token=f"{TOKEN}-wrong")
    assert done.returncode == 1
    assert done.stderr.startswith("Not saved: ")
    with pytest.raises(ValueError, match="Unable to find block document"):
        load()


def test_a_saved_project_gets_a_new_token_only_if_that_is_said(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project(NAME, sandbox, token="old-one")
    done = save(engine, NAME, token=TOKEN)
    assert done.returncode == 1
    assert "--replace" in done.stderr
    assert save(engine, NAME, "--replace", token=TOKEN).returncode == 0
    assert load().token.get_secret_value() == TOKEN
    assert load().endpoint == sandbox.endpoint


@pytest.mark.parametrize(
    ("name", "token", "complaint"),
    [
        ("Prod", TOKEN, "lowercase letters, digits and dashes"),
        ("a b", TOKEN, "lowercase letters, digits and dashes"),
        ("environment", TOKEN, "reserved"),
        (NAME, "", "set HCLOUD_TOKEN"),
        (NAME, f"{TOKEN} x", "Not saved: The token contains whitespace"),
    ],
)
def test_what_cannot_be_saved_is_said(engine: PrefectServer, name: str, token: str, complaint: str) -> None:
    done = save(engine, name, "--endpoint", "http://127.0.0.1:9/v1", token=token)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_missing_server_is_said(engine: PrefectServer) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    gone = PrefectServer(url, {**engine.environment, "PREFECT_API_URL": url}, engine.log)
    done = save(gone, NAME, token=TOKEN)
    assert done.returncode == 1
    assert "Cannot reach the Prefect server at" in done.stderr


def test_a_token_is_asked_for_without_echo(engine: PrefectServer, sandbox: Sandbox) -> None:
    with prompted(engine, "save", NAME, "--endpoint", sandbox.endpoint) as (process, terminal, shown):
        answer(terminal, f"{TOKEN}\n", shown)
        assert process.wait() == 0, shown
    assert b"Saved the token" in shown
    assert TOKEN.encode() not in shown
    assert load().token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("command", "sent", "status"),
    [
        ("save", signal.SIGINT, 130),
        ("save", signal.SIGTERM, 143),
        ("save", signal.SIGHUP, 129),
        ("delete", signal.SIGINT, 130),
    ],
)
async def test_one_signal_ends_a_prompt_with_its_exit_status_and_nothing_is_changed(
    engine: PrefectServer, known: str, command: str, sent: signal.Signals, status: int
) -> None:
    with prompted(engine, command, known) as (process, _, _):
        process.send_signal(sent)
        assert process.wait(30) == status
    recorded = await load_known_projects()
    assert recorded
    assert known in recorded.expected
    with pytest.raises(ValueError, match="Unable to find block document"):
        await HetznerCloudCredentials.aload(known)


@pytest.mark.parametrize(("command", "reason"), [("save", "no token"), ("delete", "not confirmed")])
async def test_the_end_of_the_input_is_no_token_and_no_confirmation(
    engine: PrefectServer, known: str, command: str, reason: str
) -> None:
    with prompted(engine, command, known) as (process, terminal, shown):
        answer(terminal, "\x04", shown)
        assert process.wait(30) == 1
    assert reason.encode() in shown


@pytest.mark.parametrize("command", ["save", "delete"])
async def test_a_closed_standard_input_is_no_terminal(
    engine: PrefectServer, known: str, command: str
) -> None:
    done = from_the_shell(engine, "sh", "-c", f"{sys.executable} -m cli credentials {command} {known} <&-")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Not saved: " if command == "save" else "Not deleted: ")


def test_a_project_that_is_saved_by_another_user_during_the_prompt_keeps_its_token(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    with prompted(engine, "save", NAME, "--endpoint", sandbox.endpoint) as (process, terminal, shown):
        save_project(NAME, sandbox, token="of-another-user")
        answer(terminal, f"{TOKEN}\n", shown)
        assert process.wait(30) == 1
    assert b"Traceback" not in shown
    assert b"--replace" in shown
    assert load().token.get_secret_value() == "of-another-user"


@pytest.fixture
async def known(no_known_projects: None) -> str:
    """A project that an audit has seen."""
    await update_known_projects(lambda known: known.with_seen([NAME, "other"], datetime.now(UTC)))
    return NAME


async def test_a_project_is_deleted_and_its_removal_confirmed(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox, known: str
) -> None:
    save_project(known, sandbox)
    done = credentials(engine, "delete", known, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted the credentials block '{known}'." in done.stdout
    with pytest.raises(ValueError, match="Unable to find block document"):
        await HetznerCloudCredentials.aload(known)
    recorded = await load_known_projects()
    assert recorded
    assert set(recorded.expected) == {"other"}


async def test_a_removal_is_confirmed_when_the_block_is_deleted_already(
    engine: PrefectServer, known: str
) -> None:
    done = credentials(engine, "delete", known, "--yes")
    assert done.returncode == 0, done.stderr
    assert "Deleted" not in done.stdout
    assert f"Audits no longer expect the project '{known}'" in done.stdout
    recorded = await load_known_projects()
    assert recorded
    assert set(recorded.expected) == {"other"}


async def test_nothing_is_deleted_when_no_one_can_confirm_it_or_there_is_no_such_project(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox, known: str
) -> None:
    save_project(known, sandbox)
    unconfirmed = credentials(engine, "delete", known)
    unknown = credentials(engine, "delete", "nope", "--yes")
    assert [unconfirmed.returncode, unknown.returncode] == [1, 1]
    assert unconfirmed.stderr == "Not deleted: No terminal to prompt for a confirmation; use --yes.\n"
    assert "Not deleted: There is no project 'nope'" in unknown.stderr
    async with get_client() as client:
        assert isinstance(await read_saved_block(client, known), BlockDocument)
    recorded = await load_known_projects()
    assert recorded
    assert set(recorded.expected) == {known, "other"}


def test_what_cannot_be_decrypted_can_be_neither_replaced_nor_deleted_and_that_is_said(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project(NAME, sandbox)
    with undecryptable(engine, NAME):
        saved = save(engine, NAME, "--replace", "--endpoint", sandbox.endpoint, token=TOKEN)
        deleted = credentials(engine, "delete", NAME, "--yes")
    for done in (saved, deleted):
        assert done.returncode == 1
        assert f"the credentials block '{NAME}' cannot be read: the Prefect API returned 500" in done.stderr
        assert "PREFECT_SERVER_ENCRYPTION_KEY" in done.stderr


def test_a_deletion_is_confirmed_at_a_prompt(
    save_project: SaveProject, sandbox: Sandbox, no_known_projects: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project(NAME, sandbox)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert delete_credentials(NAME) == 1
    assert load().token.get_secret_value() == TOKEN
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert delete_credentials(NAME) == 0
    with pytest.raises(ValueError, match="Unable to find block document"):
        load()


@pytest.mark.parametrize(
    ("settings", "is_rejected"),
    [({}, True), ({"endpoint": "http://127.0.0.1:9/v1"}, False)],
    ids=["Hetzner's by default", "stated"],
)
def test_a_token_is_not_sent_elsewhere_than_to_the_endpoint_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], *, is_rejected: bool
) -> None:
    monkeypatch.setenv("HCLOUD_ENDPOINT", "http://127.0.0.1:8080/v1")
    expected = pytest.raises(InvalidArgumentError, match=r"--endpoint http://127\.0\.0\.1:8080/v1")
    with expected if is_rejected else nullcontext():
        require_endpoint(settings)
