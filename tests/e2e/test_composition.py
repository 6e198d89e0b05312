"""The composition in production: PostgreSQL, a server that requires authentication, deploy, worker, a run."""

import base64
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from sqlalchemy import make_url

from benchmarks.postgresql import postgresql
from playground.server import free_port
from tests.support.composition import ROOT, Composition
from tests.support.deployments import AUDIT, EVERY, PROTECT, deployed, start
from tests.support.fixtures import TOKEN, MakeSandbox
from tests.support.protection_runs import unprotected
from tests.support.waits import until_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not shutil.which("initdb"), reason="PostgreSQL is not installed"),
]
AUTH = "admin:a-password-of-a-test"
KEY, OTHER_KEY = [base64.urlsafe_b64encode(which * 32).decode() for which in (b"a", b"b")]

_SAVE = """
import sys
from blocks.credentials import HetznerCloudCredentials
HetznerCloudCredentials(token=sys.argv[1], endpoint=sys.argv[2]).save("prod")
"""
_LOAD = """
from blocks.credentials import HetznerCloudCredentials
print(HetznerCloudCredentials.load("prod").token.get_secret_value())
"""


@pytest.fixture
def make_database() -> Iterator[Callable[[], str]]:
    """Start PostgreSQL servers, each with a database of its own; returns the URL."""
    with ExitStack() as stack:

        def make() -> str:
            # Not in tmp_path: where root runs the tests, PostgreSQL is another user, who may not enter that.
            return stack.enter_context(postgresql(Path(stack.enter_context(TemporaryDirectory()))))

        yield make


def compose(database: str, home: Path, **variables: str) -> tuple[Composition, str]:
    """The composition with a database, on a free port; and the address of its API."""
    port, place = free_port(), make_url(database)
    composition = Composition(
        variables={
            "PREFECT_AUTH_STRING": AUTH,
            "POSTGRES_PASSWORD": "se@cr/et%:#",
            "PREFECT_ENCRYPTION_KEY": KEY,
            **variables,
        },
        addresses={
            "server:4200": f"127.0.0.1:{port}",
            "127.0.0.1:4200": f"127.0.0.1:{port}",
            "0.0.0.0": f"127.0.0.1 --port {port}",
        },
        database={
            "PREFECT_SERVER_DATABASE_HOST": str(place.host),
            "PREFECT_SERVER_DATABASE_PORT": str(place.port),
            "PREFECT_SERVER_DATABASE_NAME": str(place.database),
            "PREFECT_SERVER_DATABASE_USER": str(place.username),
        },
        home=home,
    )
    return composition, f"http://127.0.0.1:{port}/api"


def responds(url: str, **headers: str) -> bool:
    try:
        return httpx.get(url, headers=headers, trust_env=False).status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


def api_of_the_ui(api: str) -> str:
    """The address at which a page of the UI requests the API."""
    settings = httpx.get(f"{api.removesuffix('/api')}/ui-settings", trust_env=False).json()
    return str(settings["api_url"])


def run_code(composition: Composition, code: str, *arguments: str) -> str:
    """Run some Python as a process that has the environment of the worker."""
    command = [sys.executable, "-c", code, *arguments]
    environment = composition.environment("worker")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_tool(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_the_services_deploy_and_run_with_authentication_and_a_backup_brings_all_back_with_the_key(
    make_database: Callable[[], str], make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    database, sandbox = make_database(), make_sandbox(snapshots=3, protected=1)
    composition, api = compose(database, tmp_path / "before", PREFECT_UI_URL="https://prefect.example.com")
    with composition.running("server"):
        await until_async(lambda: responds(f"{api}/health"))
        assert not responds(f"{api}/admin/version")
        assert api_of_the_ui(api) == "https://prefect.example.com/api"
        credentials = base64.b64encode(AUTH.encode()).decode()
        assert responds(f"{api}/admin/version", Authorization=f"Basic {credentials}")
        done = composition.run("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        with temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: AUTH}):
            run_code(composition, _SAVE, TOKEN, sandbox.endpoint)
            with composition.running("worker"):
                audited, protected = await start(AUDIT), await start(PROTECT)
        assert (audited.state_type, protected.state_type) == ("COMPLETED", "COMPLETED")
        assert not unprotected(sandbox)

    address = database.replace("+asyncpg", "")
    stored = run_tool("pg_dump", "--inserts", address)
    assert urlsplit(sandbox.endpoint).netloc in stored
    assert TOKEN not in stored
    assert "fernet_key" not in stored  # the key is not beside what it encrypts

    backup, restored = str(tmp_path / "prefect.dump"), make_database()
    run_tool("pg_dump", "--format=custom", f"--file={backup}", address)
    run_tool("pg_restore", "--clean", "--if-exists", f"--dbname={restored.replace('+asyncpg', '')}", backup)
    assert await load_token(*compose(restored, tmp_path / "after")) == TOKEN
    with pytest.raises(subprocess.CalledProcessError) as raised:  # no key, no token
        await load_token(*compose(restored, tmp_path / "without-key", PREFECT_ENCRYPTION_KEY=OTHER_KEY))
    assert "500" in raised.value.stderr


async def load_token(composition: Composition, api: str) -> str:
    with composition.running("server"):
        await until_async(lambda: responds(f"{api}/health"))
        with temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: AUTH}):
            assert {name: bool(await deployed(name)) for name in EVERY} == dict.fromkeys(EVERY, True)
        return run_code(composition, _LOAD)
