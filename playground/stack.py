"""Everything to try out without a Hetzner account: server, three sandboxes, worker, deployments."""

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from prefect.settings import temporary_settings
from rich.console import Console

from playground.scenario import (
    ARCHIVE,
    PROD,
    STAGING,
    audit,
    interfere,
    make_archive,
    make_prod,
    make_staging,
    save_policy,
    save_project,
    start_pruning,
    start_unprotecting,
    wait_until_suspended,
)
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
_CONSOLE = Console(highlight=False)


def run_playground(home: Path, port: int | None = None) -> None:
    """Run the playground until it is interrupted.

    Args:
        home: For the server's database and the logs; emptied first.
        port: The UI's, by default 4200 or, if that is taken, a free one.

    Raises:
        ServerNotStartedError: The port or the folder is in use.
    """
    _print("Starting a Prefect server, and sandboxes of three Hetzner Cloud projects ...")
    prod, staging, archive = make_prod(), make_staging(), make_archive()
    with (
        prefect_server(home, port=port or _default_port(), empty_home=True) as server,
        serve(prod),
        serve(staging),
        serve(archive),
        temporary_settings(server.settings),
    ):
        save_project(PROD, prod)
        save_project(STAGING, staging)
        save_project(ARCHIVE, archive)
        save_policy()
        _print(f"Deploying, and starting a worker with --limit {WORKER_LIMIT} ...")
        _deploy(server)
        with worker(server, home):
            _play(prod, server)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
            _print("\nStopping the worker, the sandboxes and the server ...")


def _default_port() -> int:
    return _PORT if is_free(_PORT) else free_port()


def _deploy(server: PrefectServer) -> None:
    subprocess.run([sys.executable, "-m", "deploy"], cwd=ROOT, env=server.environment, check=True)


def _play(prod: Sandbox, server: PrefectServer) -> None:
    """Let happen what a visitor is to find, and say where to find it."""
    _print("Running the first audit ...")
    _print(f"  {audit()}")
    _print("Simulating another user, who removes a protection, deletes a snapshot and creates one ...")
    interfere(prod)
    _print("Running the second audit ...")
    _print(f"  {audit()}")
    _print("Requesting to remove the protection of two snapshots, and to prune the archive ...")
    runs = [start_unprotecting(prod), start_pruning()]
    for run_id in runs:
        _print(f"  {wait_until_suspended(run_id)}")
    unprotect, prune = (f"{server.ui_url}/runs/flow-run/{run_id}" for run_id in runs)
    api = server.environment["PREFECT_API_URL"]
    _print(_WELCOME.format(url=server.ui_url, unprotect=unprotect, prune=prune, api=api))


def _print(text: str) -> None:
    _CONSOLE.print(text, markup=False, soft_wrap=True)


_WELCOME = """
Ready: {url}

  Artifacts     what the audits found: snapshot-audit-summary, audited-snapshots-prod
  Runs          unprotect-prod is Suspended and waits for your approval. Open it, look at its
                artifact unprotect-plan-prod, and click Resume: apply or reject
                {unprotect}
                prune-archive is Suspended, too: it would delete 20 snapshots that the policy
                archive does not keep, see its artifact snapshot-prune-plan
                {prune}
  Deployments   on-demand and nightly: Run, Custom run shows the form
  Automations   enable "Protect unprotected snapshots", then run the audit
  Blocks        the credentials of the projects prod, staging and archive; the policy default, by
                which snapshots of CI servers are exempt, and the policy archive

From another terminal, with .venv activated:

  export PREFECT_API_URL={api}
  prefect deployment run protect-snapshots/on-demand -p 'projects=["prod"]'
  hetzner-snapshots policy show
  hetzner-snapshots prune --project archive --policy archive

Press Ctrl-C to stop everything."""
