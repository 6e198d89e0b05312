"""The defaults of Prefect, which anyone can set, do not change what this project promises."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from playground.server import PrefectServer
from sandbox import Fault
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, table_in
from tests.support.shell import protect
from tests.support.token_scan import checkpoint, places_with_the_token
from tests.support.waits import runs_named

ROOT = Path(__file__).parents[2]
RETRIES_BY_DEFAULT = {"PREFECT_FLOWS_DEFAULT_RETRIES": "1", "PREFECT_TASKS_DEFAULT_RETRIES": "3"}
DEFAULTS = {
    "retries": RETRIES_BY_DEFAULT,
    "delays": {
        "PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": "[1, 2]",
        "PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS": "[1, 2]",
    },
    "stored-results": {
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_TASKS_DEFAULT_PERSIST_RESULT": "true",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    },
    "results-that-cannot-be-stored": {
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": f"{__file__}/no-folder",
    },
    "no-logs": {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_ENABLED": "false"},
    "all-logs": {
        "PREFECT_DEBUG_MODE": "true",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "blocks,hetzner_cloud,reporting,httpx,httpcore",
    },
}
_LIST = """
import importlib, json, pkgutil
import flows, tasks
from prefect import Flow, Task
found = {}
for package in (flows, tasks):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Flow | Task):
                found[name] = value.retries
print(json.dumps(found))
"""


def test_every_flow_and_task_says_how_often_it_is_retried() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", _LIST],
        cwd=ROOT,
        env={**os.environ, **RETRIES_BY_DEFAULT},
        capture_output=True,
        text=True,
        check=True,
    )
    retries: dict[str, int] = json.loads(listed.stdout)
    of_endpoints = {name for name, count in retries.items() if count}
    assert of_endpoints == {
        "list_images",
        "get_image",
        "list_actions_for_image",
        "get_action_for_image",
        "change_image_protection",
        "list_image_actions",
        "get_image_action",
        "list_prices",
        "list_servers",
    }
    assert {retries[name] for name in of_endpoints} == {5}
    assert len(retries) > len(of_endpoints) + 3


@pytest.mark.e2e
@pytest.mark.parametrize(
    "default",
    [
        pytest.param(name, marks=() if name in {"retries", "delays"} else pytest.mark.reliability)
        for name in DEFAULTS
    ],
)
async def test_a_failed_run_stays_failed_waits_once_and_is_reported(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, default: str
) -> None:
    sandbox = make_sandbox(snapshots=4)
    rejected, endless, *_ = sorted(sandbox.images)
    sandbox.faults.add(
        Fault(kind="error", operation="change_image_protection", image_ids=(rejected,), status=403)
    )
    sandbox.faults.add(Fault(kind="action_never_ends", image_ids=(endless,)))
    save_project(default, sandbox)
    done = protect(prefect_api, "--project", default, "--timeout-seconds", "1", **DEFAULTS[default])
    assert done.returncode == 1
    assert "Failed: 2 of 4 snapshots protected in 1 project" in done.stderr
    assert set(Counter(record.path for record in sandbox.calls("change_image_protection")).values()) == {1}
    assert len(sandbox.calls("list_images")) == 2

    [record] = await runs_named(f"protect-{default}")
    assert record.state
    assert record.state.name == "Failed"
    rows = {row["snapshot"]: row for row in table_in(await artifacts_of(record.id))}
    assert Counter(row["outcome"] for row in rows.values()) == {"protected": 2, "failed": 1, "unfinished": 1}
    assert rows[endless]["action"] in {action["id"] for action in sandbox.actions}
    checkpoint(prefect_api.log.parent)
    assert TOKEN not in done.stdout + done.stderr
    assert not list(places_with_the_token(prefect_api.log.parent))
