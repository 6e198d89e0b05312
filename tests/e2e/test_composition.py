"""The composition in production: PostgreSQL, a server that requires authentication, deploy, worker, a run."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    temporary_settings,
)

from benchmarks.postgresql import postgresql
from blocks.credentials import HetznerCloudCredentials
from playground.server import free_port
from tests.support.composition import Composition
from tests.support.deployments import AUDIT, EVERY, PROTECT, deployed, start
from tests.support.fixtures import TOKEN, MakeSandbox
from tests.support.protection_runs import unprotected
from tests.support.waits import until_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not shutil.which("initdb"), reason="PostgreSQL is not installed"),
]
AUTH = "admin:a-password-of-a-test"
KEY = base64.urlsafe_b64encode(b"a key of 32 bytes for the tests.").decode()


@pytest.fixture
def database() -> Iterator[str]:
    # Not in tmp_path: where root runs the tests, PostgreSQL is another user, who may not enter that.
    with TemporaryDirectory() as folder, postgresql(Path(folder)) as url:
        yield url


def dump(url: str) -> str:
    address = url.replace("+asyncpg", "")
    done = subprocess.run(
        ["pg_dump", "--inserts", address], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return done.stdout


async def test_the_services_deploy_and_run_with_authentication_and_tokens_encrypted_by_the_key(
    database: str, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    port = free_port()
    composition = Composition(
        variables={
            "PREFECT_AUTH_STRING": AUTH,
            "POSTGRES_PASSWORD": "secret",
            "PREFECT_ENCRYPTION_KEY": KEY,
            "PREFECT_SERVER_API_PORT": str(port),
        },
        addresses={
            "postgresql+asyncpg://prefect:secret@database:5432/prefect": database,
            "server:4200": f"127.0.0.1:{port}",
            "127.0.0.1:4200": f"127.0.0.1:{port}",
            "0.0.0.0": "127.0.0.1",
        },
        home=tmp_path,
    )
    sandbox = make_sandbox(snapshots=3, protected=1)
    api = f"http://127.0.0.1:{port}/api"

    def responds(path: str, **headers: str) -> bool:
        try:
            return httpx.get(f"{api}{path}", headers=headers, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    with composition.running("server", PREFECT_SERVER_API_PORT=str(port)):
        await until_async(lambda: responds("/health"))
        assert not responds("/admin/version")
        credentials = base64.b64encode(AUTH.encode()).decode()
        assert responds("/admin/version", Authorization=f"Basic {credentials}")

        done = composition.run("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        with temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: AUTH}):
            for name in EVERY:
                assert await deployed(name)
            block = HetznerCloudCredentials.model_validate({"token": TOKEN, "endpoint": sandbox.endpoint})
            await block.save("prod")
            with composition.running("worker"):
                audited, protected = await start(AUDIT), await start(PROTECT)
        assert (audited.state_type, protected.state_type) == ("COMPLETED", "COMPLETED")
        assert not unprotected(sandbox)

    stored = dump(database)
    assert urlsplit(sandbox.endpoint).netloc in stored
    assert TOKEN not in stored
    assert "fernet_key" not in stored
