"""The main job from scratch: protect all snapshots of a sandbox, on a separate Prefect server."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.settings import temporary_settings
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from blocks.credentials import HetznerCloudCredentials
from playground.child_processes import end, start_child
from playground.server import ROOT, PrefectServer, prefect_server
from sandbox import Sandbox, serve

_PROJECT = "sandbox"
_CONSOLE = Console(highlight=False)


def run_demo(home: Path) -> int:
    """Run the demo; `home` keeps the server's database and log.

    Returns:
        The exit status of the protection run, 0 only if every snapshot is protected.
    """
    _CONSOLE.print("Starting a Prefect server and a sandbox of Hetzner Cloud on this machine ...")
    sandbox = Sandbox(
        snapshots=40, protected=6, backups=4, system_images=20, latency_seconds=0.03, action_seconds=2
    )
    with prefect_server(home) as server, serve(sandbox):
        _save_credentials(server, sandbox)
        _CONSOLE.print(
            f"Saved the credentials block '{_PROJECT}': {_protected(sandbox)} of its "
            f"{len(_snapshots(sandbox))} snapshots are protected.\nRunning the flow 'protect-snapshots':\n"
        )
        status, output = _run_flow(server, sandbox)
        _CONSOLE.print(f"\n{output}", markup=False, soft_wrap=True)
        protected = _protected(sandbox)
    _CONSOLE.print(f"The sandbox reports: {protected} of {len(_snapshots(sandbox))} snapshots protected.")
    _CONSOLE.print("Next steps: README.md, 'Protect your snapshots'.")
    return status or int(protected < len(_snapshots(sandbox)))


def _save_credentials(server: PrefectServer, sandbox: Sandbox) -> None:
    with temporary_settings(server.settings):
        credentials = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
        credentials.save(_PROJECT, overwrite=True)


def _run_flow(server: PrefectServer, sandbox: Sandbox) -> tuple[int, str]:
    command = [sys.executable, "-m", "flows.protect_snapshots", "--project", _PROJECT]
    quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING", "PYTHONIOENCODING": "utf-8"}
    environment = {**server.environment, **quiet}
    run = start_child(command, ROOT, environment, output=subprocess.PIPE)
    try:
        with _progress(sandbox) as show:
            while run.poll() is None:
                show()
                time.sleep(0.1)
            show()
        return run.returncode, run.stdout.read() if run.stdout else ""
    finally:
        end(run)  # whatever ends us ends it; nothing happens to one that has ended


@contextmanager
def _progress(sandbox: Sandbox) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_CONSOLE) as progress:
        total = len(_snapshots(sandbox))
        task = progress.add_task("snapshots protected", total=total)
        yield lambda: progress.update(task, completed=_protected(sandbox))


def _snapshots(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [image for image in sandbox.images.values() if image["type"] == "snapshot"]


def _protected(sandbox: Sandbox) -> int:
    return sum(image["protection"]["delete"] for image in _snapshots(sandbox))
