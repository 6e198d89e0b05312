"""A Prefect server's home with its database already migrated, which takes longer than all else of a start."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import prefect

from tests.support.token_scan import checkpoint

ROOT = Path(__file__).parents[2]
_TEMPLATE = ROOT / "build" / f"prefect-{prefect.__version__}.db"  # what `make clean` removes


def make_home(home: Path) -> Path:
    """Make the home; the template of its database is made once for each version of Prefect."""
    _TEMPLATE.parent.mkdir(exist_ok=True)
    with _TEMPLATE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the test processes begin together
        if not _TEMPLATE.exists():
            _migrate(_TEMPLATE.with_suffix(".new"))
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_TEMPLATE, home / "prefect.db")
    return home


def _migrate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env={**environment, "PREFECT_HOME": str(folder)}, check=True, capture_output=True)
    checkpoint(folder)
    (folder / "prefect.db").replace(_TEMPLATE)
    shutil.rmtree(folder)
