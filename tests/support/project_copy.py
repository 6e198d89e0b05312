"""A copy of what `make deploy` needs, so that its prefect.yaml can be edited."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PACKAGES = (
    "blocks",
    "deploy",
    "flows",
    "hetzner_cloud",
    "records",
    "reporting",
    "snapshot_protection",
    "tasks",
)


def copy_project(folder: Path) -> Path:
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", folder)
    return folder
