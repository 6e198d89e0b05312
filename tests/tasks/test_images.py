"""Deleting an image as a task: one DELETE at most, and what a lost one did is verified."""

import asyncio
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_TASKS_DEFAULT_RETRIES, temporary_settings

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.deletions import DeletionUnconfirmedError, ImageNotDeletedError
from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, PermissionDeniedError, ProtectedError
from playground.server import PrefectServer
from sandbox import Fault, Sandbox
from tasks.images import delete_image
from tests.support.fixtures import TOKEN
from tests.support.flow_runs import log_of, run, task_runs_of

DELETE, GET = "delete_image", "get_image"


@pytest.fixture
def unprotected(sandbox: Sandbox) -> int:
    return max(image_id for image_id, image in sandbox.images.items() if image["type"] == "snapshot")


def asked(sandbox: Sandbox) -> list[str]:
    return [record.operation for record in sandbox.requests]


async def test_a_deletion_is_accepted_with_one_request(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    assert await delete_image.fn(credentials, unprotected) == "accepted"
    assert unprotected not in sandbox.images
    assert asked(sandbox) == [DELETE]


async def test_an_image_was_deleted_before_when_the_api_does_not_know_it(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.delete_image(unprotected)
    assert await delete_image.fn(credentials, unprotected) == "already_deleted"
    assert asked(sandbox) == [DELETE]


async def test_a_success_without_effect_is_accepted_and_seen_by_the_caller_s_next_request(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.faults.add(Fault(kind="delete_without_effect"))
    assert await delete_image.fn(credentials, unprotected) == "accepted"
    assert unprotected in sandbox.images


LOST: dict[str, tuple[dict[str, Any], bool]] = {
    "reset after it was done": ({"kind": "drop_after"}, True),
    "reset before": ({"kind": "drop"}, False),
    "200 after it was done": ({"kind": "empty", "status": 200}, True),
    "HTML after it was done": ({"kind": "html", "status": 200}, True),
    "500": ({"kind": "error", "status": 500}, False),
    "502, HTML": ({"kind": "html", "status": 502}, False),
    "503": ({"kind": "error", "status": 503}, False),
    "409 conflict": ({"kind": "error", "status": 409}, False),
    "423 locked": ({"kind": "error", "status": 423}, False),
    "404 of a gateway": ({"kind": "html", "status": 404}, False),
}


@pytest.mark.parametrize("spec", LOST.values(), ids=LOST)
@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
async def test_an_image_is_got_once_and_never_deleted_again_when_the_response_settles_nothing(
    sandbox: Sandbox,
    credentials: HetznerCloudCredentials,
    unprotected: int,
    spec: tuple[dict[str, Any], bool],
    times: int | None,
) -> None:
    injected, carried_out = spec
    sandbox.faults.add(Fault.model_validate({**injected, "operation": DELETE, "times": times}))
    if carried_out:
        assert await delete_image.fn(credentials, unprotected) == "verified"
    else:
        with pytest.raises(ImageNotDeletedError) as caught:
            await delete_image.fn(credentials, unprotected)
        assert caught.value.image.id == unprotected
        assert not caught.value.image.is_protected
    assert asked(sandbox) == [DELETE, GET]
    assert (unprotected not in sandbox.images) is carried_out


async def test_a_429_is_no_reason_to_delete_later(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.faults.add(Fault(kind="error", operation=DELETE, status=429))
    with pytest.raises(ImageNotDeletedError, match="429"):
        await delete_image.fn(credentials, unprotected)
    assert asked(sandbox) == [DELETE, GET]


async def test_the_image_is_got_with_retries_after_a_lost_response(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.faults.add(
        Fault(kind="drop_after", operation=DELETE),
        Fault(kind="error", operation=GET, status=503, times=2),
    )
    assert await delete_image.fn(credentials, unprotected) == "verified"
    assert asked(sandbox) == [DELETE, GET, GET, GET]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="error", operation=GET, status=503),
        Fault(kind="error", operation=GET, status=401),
        Fault(kind="html", operation=GET, status=404),
        Fault(kind="wrong_shape", operation=GET),
        Fault(kind="drop", operation=GET),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_a_deletion_stays_unconfirmed_when_the_image_cannot_be_read_either(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int, fault: Fault
) -> None:
    sandbox.faults.add(Fault(kind="drop_after", operation=DELETE), fault)
    with pytest.raises(DeletionUnconfirmedError) as caught:
        await delete_image.fn(credentials, unprotected)
    assert caught.value.code == "connection_lost"
    assert isinstance(caught.value.__cause__, HetznerCloudError)
    assert asked(sandbox).count(DELETE) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="protected_again"), ProtectedError),
        (Fault(kind="error", operation=DELETE, status=423, code="protected"), ProtectedError),
        (Fault(kind="error", operation=DELETE, status=403), PermissionDeniedError),
        (Fault(kind="error", operation=DELETE, status=403, code="token_readonly"), PermissionDeniedError),
        (Fault(kind="error", operation=DELETE, status=401), AuthenticationError),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value.__name__,
)
async def test_a_rejection_is_raised_after_one_request(
    sandbox: Sandbox,
    credentials: HetznerCloudCredentials,
    unprotected: int,
    fault: Fault,
    error: type[Exception],
) -> None:
    sandbox.faults.add(fault)
    with pytest.raises(error):
        await delete_image.fn(credentials, unprotected)
    assert asked(sandbox) == [DELETE]
    assert unprotected in sandbox.images


async def test_a_protected_image_is_not_deleted(
    sandbox: Sandbox, credentials: HetznerCloudCredentials
) -> None:
    with pytest.raises(ProtectedError):
        await delete_image.fn(credentials, min(sandbox.images))
    assert asked(sandbox) == [DELETE]


async def test_nothing_more_is_sent_when_the_task_is_cancelled_during_its_request(
    sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.faults.add(Fault(kind="delay", operation=DELETE))
    deleting = asyncio.create_task(delete_image.fn(credentials, unprotected))
    while not sandbox.calls(DELETE):  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.001)
    deleting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deleting
    assert asked(sandbox) == [DELETE]


@flow(retries=0)
async def delete(credentials: HetznerCloudCredentials, image_id: int) -> str:
    """Another user's flow."""
    return await delete_image(credentials, image_id)


async def test_a_deletion_is_not_repeated_by_prefect_whatever_its_default_retries_are(
    engine: PrefectServer, sandbox: Sandbox, credentials: HetznerCloudCredentials, unprotected: int
) -> None:
    sandbox.faults.add(Fault(kind="error", operation=DELETE, status=503))
    with temporary_settings({PREFECT_TASKS_DEFAULT_RETRIES: 3}):
        done = await run(delete, credentials=credentials, image_id=unprotected)
    assert isinstance(done.result, ImageNotDeletedError)
    assert done.result.image.id == unprotected
    assert asked(sandbox) == [DELETE, GET]
    [task_run] = await task_runs_of(done.record.id)
    assert (task_run.name, task_run.run_count) == (f"delete-image-{unprotected}", 1)
    log = await log_of(done.record.id, until="unknown whether image")
    assert TOKEN not in log + done.record.model_dump_json() + task_run.model_dump_json()
