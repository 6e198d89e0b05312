"""The worker's image, built from the Dockerfile, and a flow run in it as a Docker worker starts one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from playground.server import PrefectServer
from tests.support.container_image import Containers, containers, copy_context, why_not_here
from tests.support.deployments import PROTECT
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject
from tests.support.protection_runs import unprotected

WHY_NOT = why_not_here()
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    with containers(tmp_path_factory.mktemp("image") / "containers") as made:
        yield made


@pytest.mark.usefixtures("nothing_deployed")
async def test_a_flow_run_in_the_image_protects_every_snapshot_as_a_user_who_is_not_root(
    storage: Containers,
    engine: PrefectServer,
    make_sandbox: MakeSandbox,
    save_project: SaveProject,
    tmp_path: Path,
) -> None:
    sandbox = make_sandbox(snapshots=4, protected=1)
    save_project("prod", sandbox)
    context = copy_context(tmp_path / "context")
    (context / ".env").write_text(f"PREFECT_AUTH_STRING=admin:{TOKEN}\n")
    built = storage.build(context)
    assert built.returncode == 0, built.stdout + built.stderr

    container, environment = storage.start(), {"PREFECT_API_URL": engine.environment["PREFECT_API_URL"]}
    user = storage.run(container, "id", "-u")
    assert user.stdout == "10001\n", user.stderr
    deployed = storage.run(container, "hetzner-snapshots", "deploy", environment=environment)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(PROTECT)
        run = await client.create_flow_run_from_deployment(deployment.id)
        environment["PREFECT__FLOW_RUN_ID"] = str(run.id)
        executed = storage.run(container, "prefect", "flow-run", "execute", environment=environment)
        run = await client.read_flow_run(run.id)
    output = (
        built.stdout + built.stderr + deployed.stdout + deployed.stderr + executed.stdout + executed.stderr
    )
    assert run.state_type == "COMPLETED", output
    assert not unprotected(sandbox)
    assert TOKEN not in output
    files = list(storage.files())
    assert [path.name for path in files].count("protect_snapshots.py") > 1  # the image, and the container
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_building_the_image_fails_where_a_flow_imports_what_the_image_does_not_have(
    storage: Containers, tmp_path: Path
) -> None:
    context = copy_context(tmp_path / "context")
    flow = context / "flows" / "prune_snapshots.py"
    flow.write_text(f"{flow.read_text()}\nimport hcloud  # only where the tests run\n")
    built = storage.build(context)
    assert built.returncode != 0
    assert "No module named 'hcloud'" in built.stderr, built.stderr
