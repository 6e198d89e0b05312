"""The endpoint tasks: the request each one sends, what it refuses before, and how it is retried."""

import json
import time
from typing import Any, ClassVar

import httpx
import pytest
import respx
from prefect import Task, flow
from prefect.cache_policies import NO_CACHE
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import InvalidArgumentError, NotFoundError, ServerError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.prices import Pricing
from hetzner_cloud.servers import Server
from playground.server import PrefectServer
from sandbox import Fault, Sandbox
from tasks import image_actions, images, prices, servers, waiting
from tests.support.fixtures import TOKEN
from tests.support.flow_runs import run, task_runs_of
from tests.support.loopback_servers import RecordingHandler, on_loopback

CREDENTIALS = HetznerCloudCredentials(token=SecretStr(TOKEN))
IMAGE = {"id": 42, "type": "snapshot", "protection": {"delete": True}}
ACTION = {"id": 7, "status": "success", "resources": [{"id": 42, "type": "image"}]}
SERVER = {"id": 5, "name": "web-1", "image": {"id": 42}}
PRICES = {"currency": "EUR", "image": {"price_per_gb_month": {"net": "0.0110", "gross": "0.0131"}}}
TASKS: list[Task[..., Any]] = [
    images.list_images,
    images.get_image,
    image_actions.list_actions_for_image,
    image_actions.get_action_for_image,
    image_actions.change_image_protection,
    image_actions.list_image_actions,
    image_actions.get_image_action,
    servers.list_servers,
    prices.list_prices,
]


@pytest.mark.parametrize(
    ("task", "arguments", "request_line", "answer", "result"),
    [
        (images.list_images, {}, "GET /images", {"images": [IMAGE]}, [Image.model_validate(IMAGE)]),
        (images.get_image, {"image_id": 42}, "GET /images/42", {"image": IMAGE}, Image.model_validate(IMAGE)),
        (
            image_actions.list_actions_for_image,
            {"image_id": 42, "sort": ["started:desc", "id"], "status": ["running", "error"]},
            "GET /images/42/actions",
            {"actions": [ACTION]},
            [Action.model_validate(ACTION)],
        ),
        (
            image_actions.get_action_for_image,
            {"image_id": 42, "action_id": 7},
            "GET /images/42/actions/7",
            {"action": ACTION},
            Action.model_validate(ACTION),
        ),
        (
            image_actions.change_image_protection,
            {"image_id": 42, "delete": True},
            "POST /images/42/actions/change_protection",
            {"action": ACTION},
            Action.model_validate(ACTION),
        ),
        (
            image_actions.list_image_actions,
            {"ids": [7]},
            "GET /images/actions",
            {"actions": [ACTION]},
            [Action.model_validate(ACTION)],
        ),
        (
            image_actions.get_image_action,
            {"action_id": 7},
            "GET /images/actions/7",
            {"action": ACTION},
            Action.model_validate(ACTION),
        ),
        (
            servers.list_servers,
            {},
            "GET /servers",
            {"servers": [SERVER]},
            [Server.model_validate(SERVER)],
        ),
        (prices.list_prices, {}, "GET /pricing", {"pricing": PRICES}, Pricing.model_validate(PRICES)),
    ],
    ids=lambda value: value.name if isinstance(value, Task) else "",
)
async def test_a_task_sends_its_endpoint_s_request(
    api: respx.MockRouter,
    task: Task[..., Any],
    arguments: dict[str, Any],
    request_line: str,
    answer: dict[str, Any],
    result: object,
) -> None:
    method, path = request_line.split()
    route = api.request(method, path).mock(return_value=httpx.Response(200, json=answer))
    assert await task.fn(CREDENTIALS, **arguments) == result
    assert route.calls.last.request.headers["Authorization"] == f"Bearer {TOKEN}"


async def test_several_sort_and_status_values_repeat_in_the_query(api: respx.MockRouter) -> None:
    route = api.get("/images/42/actions").respond(json={"actions": []})
    await image_actions.list_actions_for_image.fn(
        CREDENTIALS, 42, sort=["started:desc", "id"], status=["running", "error"]
    )
    query = route.calls.last.request.url.params
    assert query.get_list("sort") == ["started:desc", "id"]
    assert query.get_list("status") == ["running", "error"]


@pytest.mark.parametrize("delete", [True, False])
async def test_protection_is_changed_both_ways(api: respx.MockRouter, *, delete: bool) -> None:
    route = api.post("/images/42/actions/change_protection").respond(201, json={"action": ACTION})
    await image_actions.change_image_protection.fn(CREDENTIALS, 42, delete=delete)
    assert route.calls.last.request.content in {b'{"delete":true}', b'{"delete":false}'}
    assert (b"true" in route.calls.last.request.content) is delete


async def test_no_filter_is_sent_unless_one_is_given(api: respx.MockRouter) -> None:
    route = api.get("/images").respond(json={"images": []})
    await images.list_images.fn(CREDENTIALS)
    assert not {"type", "status", "label_selector"} & set(route.calls.last.request.url.params)


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (images.list_images, {"type": "snapshots"}),
        (images.list_images, {"status": ["available", "gone"]}),
        (images.list_images, {"label_selector": "env=prod,,"}),
        (images.get_image, {"image_id": 0}),
        (images.get_image, {"image_id": 2**53}),
        (images.get_image, {"image_id": "42"}),
        (images.get_image, {"image_id": True}),
        (images.delete_image, {"image_id": 0}),
        (images.delete_image, {"image_id": "42"}),
        (image_actions.list_actions_for_image, {"image_id": -1}),
        (image_actions.list_actions_for_image, {"image_id": 42, "sort": "age"}),
        (image_actions.list_actions_for_image, {"image_id": 42, "status": "done"}),
        (image_actions.get_action_for_image, {"image_id": 42, "action_id": 1.5}),
        (image_actions.change_image_protection, {"image_id": 42, "delete": "yes"}),
        (image_actions.list_image_actions, {"ids": [7, 0]}),
        (image_actions.get_image_action, {"action_id": None}),
        (waiting.wait_for_image_actions, {"actions": [], "timeout_seconds": 0}),
    ],
    ids=lambda value: value.name if isinstance(value, Task) else str(value),
)
async def test_a_bad_argument_is_refused_before_any_request(
    api: respx.MockRouter, task: Task[..., Any], arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError):
        await task.fn(CREDENTIALS, **arguments)
    assert not api.calls


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_an_endpoint_task_has_the_one_retry_policy_and_no_cache(task: Task[..., Any]) -> None:
    assert task.retries == 5
    assert isinstance(task.retry_delay_seconds, list)
    assert len(task.retry_delay_seconds) == 5
    assert task.cache_policy == NO_CACHE


def test_a_deletion_has_no_retry_and_no_cache() -> None:
    assert (images.delete_image.retries, images.delete_image.cache_policy) == (0, NO_CACHE)


@flow
async def ask(credentials: HetznerCloudCredentials, image_id: int) -> Image:
    """Five lines of another user's flow."""
    return await images.get_image(credentials, image_id)


async def test_a_transient_error_is_retried_by_prefect(
    engine: PrefectServer, sandbox: Sandbox, credentials: HetznerCloudCredentials
) -> None:
    sandbox.faults.add(Fault(kind="error", operation="get_image", status=503, times=2))
    image_id = min(sandbox.images)
    assert (await ask(credentials, image_id)).id == image_id
    assert [record.status for record in sandbox.requests] == [503, 503, 200]


async def test_a_fault_that_stays_is_raised_after_five_retries(
    engine: PrefectServer, sandbox: Sandbox, credentials: HetznerCloudCredentials
) -> None:
    sandbox.faults.add(Fault(kind="error", operation="get_image", status=503, code="unavailable"))
    done = await run(ask, credentials=credentials, image_id=min(sandbox.images))
    assert isinstance(done.result, ServerError)
    assert len(sandbox.requests) == 6
    [task_run] = await task_runs_of(done.record.id)
    assert task_run.run_count == 6


class _Unavailable(RecordingHandler):
    """Asks for a delay of a second once, then responds."""

    seen: ClassVar[list[float]] = []

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        self.seen.append(time.monotonic())
        body = b"" if len(self.seen) == 1 else json.dumps({"image": IMAGE}).encode()
        self.send_response(200 if body else 503)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


async def test_a_retry_waits_as_long_as_the_response_asks_for(engine: PrefectServer) -> None:
    server = on_loopback(_Unavailable)
    endpoint = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        done = await run(
            ask, credentials=HetznerCloudCredentials(token=SecretStr(TOKEN), endpoint=endpoint), image_id=42
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.state.is_completed()
    first, second = _Unavailable.seen
    assert second - first >= 0.95


async def test_a_permanent_error_costs_one_request(
    engine: PrefectServer, sandbox: Sandbox, credentials: HetznerCloudCredentials
) -> None:
    with pytest.raises(NotFoundError):
        await ask(credentials, 42)
    assert len(sandbox.requests) == 1


async def test_the_run_s_name_tells_verb_and_image_and_its_record_hides_the_token(
    engine: PrefectServer, sandbox: Sandbox, credentials: HetznerCloudCredentials
) -> None:
    done = await run(ask, credentials=credentials, image_id=min(sandbox.images))
    [task_run] = await task_runs_of(done.record.id)
    assert task_run.name == f"get-image-{min(sandbox.images)}"
    assert TOKEN not in done.record.model_dump_json() + task_run.model_dump_json()
