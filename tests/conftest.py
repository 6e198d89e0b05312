"""Fixtures of the whole suite: times of milliseconds, a sandbox, and one Prefect server for all."""

import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import certifi
import hypothesis
import pytest
import respx

# Started in the background, pytest ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Before our modules are imported: a task takes its retry times when it is made.
os.environ["HETZNER_CLOUD_RETRY_BASE_DELAY_SECONDS"] = "0.01"
os.environ["HETZNER_CLOUD_POLL_INTERVAL_SECONDS"] = "0.05"
for _name in ("HCLOUD_TOKEN", "HCLOUD_ENDPOINT"):
    os.environ.pop(_name, None)

from prefect.client.orchestration import get_client  # noqa: E402
from prefect.client.schemas.filters import ArtifactFilter  # noqa: E402
from prefect.events.worker import EventsWorker  # noqa: E402
from prefect.exceptions import ObjectNotFound  # noqa: E402
from prefect.logging.handlers import APILogWorker  # noqa: E402
from prefect.settings import PREFECT_API_SSL_CERT_FILE, temporary_settings  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from benchmarks.results import write_result  # noqa: E402
from blocks.credentials import HetznerCloudCredentials  # noqa: E402
from playground.server import PrefectServer, prefect_server  # noqa: E402
from records.known_projects import KEY  # noqa: E402
from sandbox import Sandbox, serve  # noqa: E402
from tests.support.figures import EXAMPLES, RecordFigure  # noqa: E402
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject  # noqa: E402
from tests.support.flow_runs import delete_unfinished  # noqa: E402
from tests.support.migrated_database import make_home  # noqa: E402
from tests.support.project_copy import copy_project  # noqa: E402

# The same examples each time, so that nothing flakes; `--hypothesis-profile thorough` looks for new ones.
hypothesis.settings.register_profile("quick", deadline=None, derandomize=True, max_examples=100)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000, database=None)
hypothesis.settings.load_profile("quick")

# Prefect's clients go with the event loops that they were made on; ours are tested without the engine.
_PREFECT_LEAVES_SOCKETS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="write figures for docs/reliability.md to this file")


def pytest_sessionfinish(session: pytest.Session) -> None:
    for what, count in EXAMPLES.items():
        write_result(session.config.getoption("--figures"), "examples", {"what": what, "count": count})


@pytest.fixture
def record_figure(request: pytest.FixtureRequest) -> RecordFigure:
    path: Path | None = request.config.getoption("--figures")

    def record(section: str, **figure: Any) -> None:
        write_result(path, section, figure)

    return record


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the session's Prefect server is marked so, and runs last: the others fail sooner."""
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
            item.add_marker(_PREFECT_LEAVES_SOCKETS)
    items.sort(key=lambda item: item.get_closest_marker("engine") is not None)


@pytest.fixture
def make_sandbox() -> Iterator[MakeSandbox]:
    """Serve sandboxes with the given settings until the test ends."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serve(Sandbox(**{"token": TOKEN, **settings})))


@pytest.fixture
def sandbox(make_sandbox: MakeSandbox) -> Sandbox:
    """A sandbox with six snapshots, two of them protected, and images that are none."""
    return make_sandbox(snapshots=6, protected=2, backups=2, system_images=3, apps=1)


@pytest.fixture
def credentials(sandbox: Sandbox) -> HetznerCloudCredentials:
    return HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """Answers for https://api.hetzner.cloud/v1; everything else is an error."""
    with respx.mock(base_url="https://api.hetzner.cloud/v1") as router:
        yield router


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A real Prefect server for the whole session, or for the part of it that this test process runs."""
    home = make_home(tmp_path_factory.mktemp("prefect"))
    few_certificates = {PREFECT_API_SSL_CERT_FILE: _one_certificate(home / "one-certificate.pem")}
    with prefect_server(home) as server, temporary_settings(server.settings | few_certificates):
        yield server
        APILogWorker.drain_all()  # or their threads find the server gone
        EventsWorker.drain_all()
    gc.collect()  # here, where Prefect's sockets are excused, and not at the very end


def _one_certificate(path: Path) -> str:
    """Write a file that is read in no time: each of Prefect's many clients reads it."""
    end = "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    return str(path)


@pytest.fixture
def engine(prefect_api: PrefectServer) -> PrefectServer:
    """For a test that runs flows or tasks on the engine."""
    return prefect_api


@pytest.fixture
def save_project(engine: PrefectServer) -> Iterator[SaveProject]:
    """Save the credentials of sandboxes under names of their own, and forget them when the test ends."""
    saved: set[str] = set()

    def save(name: str, sandbox: Sandbox, *, token: str = "") -> HetznerCloudCredentials:
        block = HetznerCloudCredentials(token=SecretStr(token or sandbox.token), endpoint=sandbox.endpoint)
        block.save(name, overwrite=True, _sync=True)
        saved.add(name)
        return block

    yield save
    for name in saved:
        with suppress(ValueError):  # the test has deleted it
            HetznerCloudCredentials.delete(name, _sync=True)  # type: ignore[call-arg]  # as above


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project, whose prefect.yaml can be edited."""
    return copy_project(tmp_path)


@pytest.fixture
async def nothing_deployed(engine: PrefectServer) -> AsyncIterator[None]:
    """A server without deployments, automations, unfinished runs and the record of a deploy; afterwards too.

    They make each later run slower, or are named by each later audit.
    """
    await _undeploy()
    yield
    await _undeploy()


@pytest.fixture
async def no_known_projects(engine: PrefectServer) -> AsyncIterator[None]:
    """A server without a record of the projects that audits have covered; afterwards too."""
    await _forget_known_projects()
    yield
    await _forget_known_projects()


async def _forget_known_projects() -> None:
    async with get_client() as client:
        wanted = ArtifactFilter.model_validate({"key": {"any_": [KEY]}})
        while found := await client.read_artifacts(artifact_filter=wanted):
            for artifact in found:
                await client.delete_artifact(artifact.id)


async def _undeploy() -> None:
    async with get_client() as client:
        for deployment in await client.read_deployments():
            await client.delete_deployment(deployment.id)
        for automation in await client.read_automations():
            await client.delete_automation(automation.id)
        await delete_unfinished(client)
        with suppress(ObjectNotFound):
            await client.delete_variable_by_name("hetzner_snapshot_protection_deployed")
