"""Which deployments run flows of this project."""

from importlib import import_module
from pathlib import Path

import pytest

import flows
from records.project_flows import FLOW_NAMES, is_project_entrypoint


def test_all_flows_are_known() -> None:
    [folder] = flows.__path__
    modules = [file.stem for file in Path(folder).glob("[!_]*.py")]
    assert sorted(FLOW_NAMES) == sorted(
        getattr(import_module(f"flows.{module}"), module).name for module in modules
    )


@pytest.mark.parametrize(
    "entrypoint",
    [
        "flows.protect_snapshots.protect_snapshots",
        "flows/protect_on_workers.py:protect_on_workers",
        "/opt/hetzner/flows/audit_snapshot_protection.py:audit_snapshot_protection",
    ],
)
def test_an_entrypoint_of_this_project_is_known_as_a_module_and_as_a_file(entrypoint: str) -> None:
    assert is_project_entrypoint(entrypoint)


@pytest.mark.parametrize(
    "entrypoint",
    [
        None,
        "",
        "flows.etl.load",
        "flows.protect_snapshots.other",
        "flows.protect_snapshots_too.protect_snapshots",
        "myflows/protect_snapshots.py:protect_snapshots",
        "jobs.flows.protect_snapshots.protect_snapshots",
    ],
)
def test_an_entrypoint_of_another_project_is_not_this_project_s(entrypoint: str | None) -> None:
    assert not is_project_entrypoint(entrypoint)
