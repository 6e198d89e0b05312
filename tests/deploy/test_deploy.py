"""`make deploy` creates what is missing, and updates what exists to what `prefect deploy` would set."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.variables import Variable

from playground.server import PrefectServer, free_port
from tests.support.deploying import TRIGGER_OF_0_4_0, deploy_from, edit, line_of, new_version
from tests.support.deployments import AUDIT, EVERY, PROTECT, deployed, make_deploy

pytestmark = pytest.mark.usefixtures("nothing_deployed")
NAMES = EVERY
NO_WORKER = [
    "No worker polls the work pool hetzner-cloud: until one does, no run starts.",
    "Start one in a separate terminal:",
    "  prefect worker start --pool hetzner-cloud --limit 5",
]
AUTOMATION = 'automation "Protect unprotected snapshots"'


@pytest.mark.e2e
async def test_the_output_says_of_each_object_what_was_done(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    async with get_client() as client:
        if "hetzner-cloud" in {pool.name for pool in await client.read_work_pools()}:
            await client.delete_work_pool("hetzner-cloud")
    assert deploy_from(checkout, prefect_api) == [
        "work pool hetzner-cloud: created, for processes on a worker's own machine",
        f"{AUTOMATION}: created, disabled; enable it in Prefect, on the page Automations",
        *(f"deployment {name}: created" for name in NAMES),
        *NO_WORKER,
    ]
    new_version(checkout, 9)
    assert deploy_from(checkout, prefect_api) == [
        "work pool hetzner-cloud: already exists, unchanged",
        f"{AUTOMATION}: already exists, disabled, unchanged",
        *(f"deployment {name}: updated (version)" for name in NAMES),
        *NO_WORKER,
    ]


PULL = """pull:
  - prefect.deployments.steps.git_clone:
      repository: https://github.com/you/{{ $DEPLOY_TEST }}.git
      credentials: "{{ prefect.blocks.github-credentials.ours }}"

deployments:
"""
NIGHTLY = """    paused: true
    enforce_parameter_schema: false
    parameters: {grace_hours: 2, label_selector: "{{ prefect.variables.deploy_test }}"}
    schedules:
      - {cron: "1 2 * * *", timezone: Asia/Tokyo, slug: nightly, active: false, parameters: {grace_hours: 3}}
      - {interval: 3600, anchor_date: "2026-01-01T00:00:00Z", slug: hourly}
"""


@pytest.mark.e2e
async def test_an_updated_deployment_is_the_same_as_one_created_from_that_prefect_yaml(
    prefect_api: PrefectServer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prefect_api.environment, "DEPLOY_TEST", "fork")
    await Variable.aset("deploy_test", "env=prod", overwrite=True)
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        protect = await client.read_deployment_by_name(PROTECT)
        outdated = DeploymentUpdate(
            entrypoint="flows.other.other",
            path="/somewhere",
            parameter_openapi_schema={"type": "object", "properties": {}},
        )
        await client.update_deployment(protect.id, outdated)
    text = (checkout / "prefect.yaml").read_text()
    schedules = text[text.index("    schedules:\n") : text.index("\n  - name: on-demand")]
    edit(checkout, schedules, NIGHTLY)
    edit(checkout, "deployments:\n", PULL)
    edit(checkout, "tags: [hetzner-cloud]", "tags: [other, more]")
    edit(checkout, '_FREQUENCY: "30"', '_FREQUENCY: "40"\n        MORE: "{{ $DEPLOY_TEST }}"')
    edit(checkout, "  Reports every night which snapshots are", "  Sees every night which snapshots are")
    new_version(checkout, 9)
    deploy_from(checkout, prefect_api)
    updated = [compared(await deployed(name)) for name in NAMES]
    async with get_client() as client:
        for deployment in await client.read_deployments():
            await client.delete_deployment(deployment.id)
    deploy_from(checkout, prefect_api, "prefect", "--no-prompt", "deploy", "--all")
    for name, before in zip(NAMES, updated, strict=True):
        created = compared(await deployed(name))
        assert {field: before[field] for field in created} == created
    assert updated[0]["parameters"] == {"grace_hours": 2, "label_selector": "env=prod"}
    assert "fork.git" in str(updated[0]["pull_steps"])
    assert "{{ prefect.blocks.github-credentials.ours }}" in str(updated[0]["pull_steps"])
    await Variable.aunset("deploy_test")


def compared(deployment: dict[str, Any]) -> dict[str, Any]:
    own = {"id", "created", "updated", "deployment_id", "version_id", "created_by", "updated_by", "labels"}
    schedules = [
        {key: value for key, value in schedule.items() if key not in own}
        for schedule in sorted(deployment["schedules"], key=lambda item: str(item["slug"]))
    ]
    return {key: value for key, value in deployment.items() if key not in own} | {"schedules": schedules}


@pytest.mark.e2e
async def test_what_prefect_yaml_changes_is_merged_into_what_operators_have_set(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    edit(checkout, "    version: ", "    parameters: {timeout_seconds: 60}\n    version: ")
    edit(checkout, "flows.audit_snapshot_protection.audit", "flows.protect_snapshots.protect_snapshots #")
    deploy_from(checkout, prefect_api)
    nightly = "protect-snapshots/nightly"
    async with get_client() as client:
        found = await client.read_deployment_by_name(nightly)
        theirs = {"timeout_seconds": 60, "label_selector": "{{ x }}"}
        env = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "PROXY": "{{ prefect.blocks.secret.none }}"}
        await client.update_deployment(
            found.id, DeploymentUpdate(parameters=theirs, job_variables={"env": env, "mine": 1})
        )
    edit(checkout, "{timeout_seconds: 60}", "{dry_run: true}")
    edit(checkout, '_FREQUENCY: "30"', '_FREQUENCY: "40"')
    line = line_of(deploy_from(checkout, prefect_api), nightly)
    assert (
        line == "updated (job_variables, parameters); edited in Prefect and kept: parameters, job_variables"
    )
    now = await deployed(nightly)
    assert now["parameters"] == {"dry_run": True, "label_selector": "{{ x }}"}
    assert now["job_variables"] == {
        "env": env | {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "40"},
        "mine": 1,
    }


@pytest.mark.e2e
async def test_a_missing_deployment_is_created_alone_when_another_one_has_its_short_name(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    edit(checkout, "name: fan-out", "name: on-demand")
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        protect = await client.read_deployment_by_name(PROTECT)
        await client.update_deployment(protect.id, DeploymentUpdate(tags=["mine"], paused=True))
        other = await client.read_deployment_by_name("protect-on-workers/on-demand")
        await client.delete_deployment(other.id)
    lines = deploy_from(checkout, prefect_api)
    assert line_of(lines, "protect-on-workers/on-demand") == "created"
    now = await deployed(PROTECT)
    assert (now["tags"], now["paused"]) == (["mine"], True)
    created = await deployed("protect-on-workers/on-demand")
    assert created["pull_steps"] == now["pull_steps"]


@pytest.mark.e2e
async def test_a_deployment_that_the_server_rejects_does_not_stop_the_others(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    new_version(checkout, 9)
    edit(checkout, "    version: ", "    parameters: {projects: 7}\n    version: ")
    text = (checkout / "prefect.yaml").read_text()
    first, rest = text.split("  - name: on-demand", 1)
    rest = rest.replace("    parameters: {projects: 7}\n", "")
    (checkout / "prefect.yaml").write_text(f"{first}  - name: on-demand{rest}")
    done = run_deploy(checkout, prefect_api)
    assert done.returncode == 1
    assert done.stderr == f"Not updated, see above: {AUDIT}.\n"
    assert f"deployment {AUDIT}: FAILED: " in done.stdout
    assert done.stdout.count(": updated (version)") == len(EVERY) - 1
    edit(checkout, "    parameters: {projects: 7}\n", "")
    assert line_of(deploy_from(checkout, prefect_api), AUDIT) == "updated (version)"


@pytest.mark.e2e
async def test_a_work_pool_that_exists_is_left_as_it_is(prefect_api: PrefectServer) -> None:
    make_deploy(prefect_api)
    async with get_client() as client:
        pool = await client.read_work_pool("hetzner-cloud")
        template = pool.base_job_template | {"mine": True}
        await client._client.patch("/work_pools/hetzner-cloud", json={"base_job_template": template})
    make_deploy(prefect_api)
    async with get_client() as client:
        assert (await client.read_work_pool("hetzner-cloud")).base_job_template["mine"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "    version: ",
            TRIGGER_OF_0_4_0.lstrip("\n") + "    version: ",
            "concurrency_limit is not supported",
        ),
        ("deployments:\n", "build: []\ndeployments:\n", "build is not supported"),
        ("slug: nightly", "active: true", "each schedule needs a slug"),
        ('_FREQUENCY: "30"', '_FREQUENCY: "{{ prefect.blocks.secret.x }}"', "stored in plain text"),
        ("timezone: Europe", "timezone: Moon", "schedule nightly: "),
        ("    version: ", "    parameters: {projects: 7}\n    version: ", "failed, see above."),
        ("_on_workers.protect_on_workers", ".no", "the entrypoint flows.protect.no does not load: "),
    ],
)
def test_a_prefect_yaml_that_is_not_supported_is_rejected_before_any_deployment(
    prefect_api: PrefectServer, checkout: Path, old: str, new: str, complaint: str
) -> None:
    edit(checkout, old, new)
    done = run_deploy(checkout, prefect_api)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "deployment " not in done.stdout


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "PREFECT_API_URL is not set: export PREFECT_API_URL="),
        (f"http://127.0.0.1:{free_port()}/api", "Cannot reach the Prefect server at http://127.0.0.1:"),
        ("SERVER/nothing/api", "The Prefect server at SERVER/nothing/api returned 40"),
    ],
    ids=["none", "dead", "no API"],
)
def test_without_a_server_one_line_says_what_to_do(
    prefect_api: PrefectServer, checkout: Path, url: str, complaint: str
) -> None:
    url, complaint = (text.replace("SERVER", prefect_api.ui_url) for text in (url, complaint))
    environment = {**prefect_api.environment, "PREFECT_API_URL": url, "PREFECT_HOME": str(checkout / "home")}
    done = run_deploy(checkout, PrefectServer(url, environment, prefect_api.log))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(complaint)
    assert done.stderr.count("\n") == 1


def run_deploy(checkout: Path, server: PrefectServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy"],
        cwd=checkout,
        env=dict(server.environment),
        capture_output=True,
        text=True,
        check=False,
    )
