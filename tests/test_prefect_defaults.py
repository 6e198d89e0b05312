"""The retry defaults of Prefect, which anyone can set, do not change what this project promises."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hetzner_cloud.sandbox import Fault
from playground.server import PrefectServer
from tests.conftest import MakeSandbox
from tests.test_command_line import COMMAND, environment_of

ROOT = Path(__file__).parent.parent
RETRIES_BY_DEFAULT = {"PREFECT_FLOWS_DEFAULT_RETRIES": "1", "PREFECT_TASKS_DEFAULT_RETRIES": "3"}
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
    }
    assert {retries[name] for name in of_endpoints} == {5}
    assert len(retries) > len(of_endpoints) + 3


@pytest.mark.e2e
def test_a_failed_run_stays_failed_and_waits_once(
    prefect_api: PrefectServer, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=4)
    rejected, endless, *_ = sorted(sandbox.images)
    sandbox.faults.add(
        Fault(kind="error", operation="change_image_protection", image_ids=(rejected,), status=403)
    )
    sandbox.faults.add(Fault(kind="action_never_ends", image_ids=(endless,)))
    environment = environment_of(
        prefect_api, HCLOUD_TOKEN=sandbox.token, HCLOUD_ENDPOINT=sandbox.endpoint, **RETRIES_BY_DEFAULT
    )
    done = subprocess.run(
        [*COMMAND, "--timeout-seconds", "1"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Failed: 2 of 4 snapshots protected in 1 project" in done.stderr
    assert set(Counter(record.path for record in sandbox.calls("change_image_protection")).values()) == {1}
    assert len(sandbox.calls("list_images")) == 2
