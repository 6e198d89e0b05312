"""Everything to click around in, without a Hetzner account: server, two sandboxes, worker, deployments."""

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.settings import temporary_settings
from pydantic import SecretStr
from rich.console import Console

from blocks.credentials import HetznerCloudCredentials
from playground.server import (
    ROOT,
    WORKER_LIMIT,
    PrefectServer,
    free_port,
    is_free,
    prefect_server,
    worker,
)
from sandbox import Sandbox, serve

_PORT = 4200
_AUDIT = "audit-snapshot-protection/nightly"
_AUDIT_SECONDS = 120
_CONSOLE = Console(highlight=False)


def run_playground(home: Path, port: int | None = None) -> None:
    """Run the playground until it is interrupted.

    Args:
        home: For the server's database and the logs; emptied first.
        port: The UI's, by default 4200 or, if that is taken, a free one.

    Raises:
        ServerNotStartedError: The port or the folder is in use.
    """
    _print("Starting a Prefect server, and sandboxes of two Hetzner Cloud projects ...")
    prod = Sandbox(
        project="shop", snapshots=26, protected=23, backups=3, latency_seconds=0.05, action_seconds=3
    )
    staging = Sandbox(project="test", snapshots=12, protected=9, first_image_id=200_000_001, action_seconds=3)
    with (
        prefect_server(home, port=port or _default_port(), empty_home=True) as server,
        serve(prod),
        serve(staging),
        temporary_settings(server.settings),
    ):
        _save("prod", prod)
        _save("staging", staging)
        _print(f"Deploying, and starting a worker with --limit {WORKER_LIMIT} ...")
        _deploy(server)
        with worker(server, home):
            _audit_twice(prod)
            _print(_WELCOME.format(url=server.ui_url, api=server.environment["PREFECT_API_URL"]))
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
            _print("\nEnding the worker, the sandboxes and the server ...")


def _default_port() -> int:
    return _PORT if is_free(_PORT) else free_port()


def _save(name: str, sandbox: Sandbox) -> None:
    block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
    block.save(name, overwrite=True)


def _deploy(server: PrefectServer) -> None:
    subprocess.run([sys.executable, "-m", "deploy"], cwd=ROOT, env=server.environment, check=True)


def _audit_twice(prod: Sandbox) -> None:
    """Simulate another user between two audits, so that the second one has findings."""
    _print("Running the first audit ...")
    _audit()
    snapshots = sorted(image["id"] for image in prod.images.values() if image["type"] == "snapshot")
    prod.set_protection(snapshots[7], delete=False)
    prod.delete_image(snapshots[11])
    prod.add_snapshot(description="shop db-1 before migration", labels={"env": "prod"})
    _print(
        "Somebody lifts a protection, deletes a snapshot and makes a new one. Running the second audit ..."
    )
    _audit()


def _audit() -> None:
    run = cast("FlowRun", run_deployment(_AUDIT, timeout=_AUDIT_SECONDS, poll_interval=1, as_subflow=False))
    _print(f"  {run.state.name}: {run.state.message}" if run.state else "  it did not start")


def _print(text: str) -> None:
    _CONSOLE.print(text, markup=False, soft_wrap=True)


_WELCOME = """
All is ready: {url}

  Artifacts     what the audits found: snapshot-audit-summary, audited-snapshots-prod
  Deployments   on-demand and nightly: Run, Custom run shows the form
  Automations   enable "Protect unprotected snapshots", then run the audit
  Blocks        the credentials of the projects prod and staging

From another terminal, with .venv activated:

  export PREFECT_API_URL={api}
  prefect deployment run protect-snapshots/on-demand -p 'projects=["prod"]'

Ctrl-C ends all of it."""
