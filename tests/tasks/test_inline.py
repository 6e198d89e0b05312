"""Endpoints within a task run have none of their own, and are retried all the same."""

import pytest
from prefect import flow, task
from prefect.utilities.annotations import opaque
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import NotFoundError
from hetzner_cloud.models import Image
from playground.server import PrefectServer
from sandbox import Fault, Sandbox
from tasks.images import get_image
from tasks.inline import in_task_run
from tests.support.flow_runs import log_of, run, task_runs_of

TRANSIENT = Fault(kind="error", operation="get_image", status=503, times=2)


def _credentials(sandbox: Sandbox) -> HetznerCloudCredentials:
    return HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)


@flow(retries=0, retry_delay_seconds=0)
async def _get(credentials: HetznerCloudCredentials, image_id: int) -> Image:
    @task(retries=0, task_run_name="outer")
    async def outer() -> Image:
        found = await in_task_run(get_image)(opaque(credentials), image_id=image_id, wait_for=[image_id])
        assert isinstance(found, Image)
        return found

    return await outer()


async def test_an_endpoint_within_a_task_run_is_retried_without_one_of_its_own(
    engine: PrefectServer, sandbox: Sandbox
) -> None:
    sandbox.faults.add(TRANSIENT)
    image_id = min(sandbox.images)
    done = await run(_get, credentials=_credentials(sandbox), image_id=image_id)
    assert done.result.id == image_id
    assert len(sandbox.calls("get_image")) == 3
    assert [one.name for one in await task_runs_of(done.record.id)] == ["outer"]
    assert (await log_of(done.record.id, until="Completed()")).count("Retrying in ") == 2


async def test_what_is_not_transient_is_not_retried(engine: PrefectServer, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await _get(_credentials(sandbox), 1)
    assert len(sandbox.calls("get_image")) == 1


async def test_an_endpoint_outside_of_a_task_run_has_one(engine: PrefectServer, sandbox: Sandbox) -> None:
    assert in_task_run(get_image) is get_image
