"""Whatever goes wrong in a deploy is one line that says what to do and what is done, never a traceback."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.base import PrefectHttpxAsyncClient, PrefectResponse
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate

from deploy.__main__ import main
from deploy.apply import _without_traceback
from deploy.plan import PlanError, read_plan
from deploy.record import Record
from playground.server import PrefectServer
from tests.support.counting_proxy import counting_proxy
from tests.support.deploying import deploy_from, line_of, new_version, start_deploy
from tests.support.deployments import AUDIT, BATCH, EVERY, FAN_OUT, PROTECT, deployed, make_deploy

_NAMES = EVERY
_STATUSES = (401, 403, 404, 500)


@pytest.mark.parametrize(
    "key",
    [
        "paused",  # not JSON
        "7",
        "[]",
        "[7]",
        '["schedules"]',
        '["schedules", "nightly"]',
        '["parameters"]',
        '["tags"]',
        '{"a": 1}',
    ],
)
def test_an_entry_of_the_record_that_was_edited_is_lost_and_no_other_one(key: str) -> None:
    entry = {"described": {'["paused"]': "00000000"}, "deployed": {}}
    edited = {"described": {key: "00000000"}, "deployed": {}}
    record = Record.model_validate({"format": 2, "deployments": {AUDIT: edited, PROTECT: entry, BATCH: "?"}})
    assert set(record.deployments) == {PROTECT}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "prefect.yaml cannot be read: "),
        ("a: [", "prefect.yaml cannot be read: "),
        ("- a", "prefect.yaml has no list of deployments."),
        ("deployments: [nightly]", "prefect.yaml has no list of deployments."),
        ("deployments: [{entrypoint: a.b}]", "deployment without a name: name is missing."),
        ("deployments: [{name: a, work_pool: {name: b}}]", "deployment a: entrypoint is missing."),
        (
            "deployments: [{name: a, entrypoint: b.c, work_pool: d}]",
            "deployment a: work_pool name is missing.",
        ),
    ],
)
async def test_a_prefect_yaml_that_cannot_be_read_is_one_line(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / "prefect.yaml").write_text(text)
    with pytest.raises(PlanError) as caught:
        await read_plan(tmp_path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_a_traceback_in_the_output_of_a_command_only_the_error_is_left() -> None:
    output = "Deploying\nTraceback (most recent call last):\n  File 'a', line 1\n    b()\nKeyError: 'c'\n"
    assert _without_traceback(output) == "Deploying\nKeyError: 'c'"
    assert _without_traceback("Invalid: 7\n") == "Invalid: 7\n"


@contextmanager
def rejected(at: int) -> Iterator[list[str]]:
    """The request of this number is rejected; yields the requests."""
    send, requests = PrefectHttpxAsyncClient.send, list[str]()

    async def count(client: PrefectHttpxAsyncClient, request: httpx.Request, *rest: Any, **more: Any) -> Any:
        requests.append(f"{request.method} {request.url.path}")
        if len(requests) != at:
            return await send(client, request, *rest, **more)
        response = httpx.Response(_STATUSES[at % len(_STATUSES)], request=request, json={"detail": "no"})
        PrefectResponse.from_httpx_response(response).raise_for_status()
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrefectHttpxAsyncClient, "send", count)
        yield requests


async def _make_outdated() -> None:
    async with get_client() as client:
        for name in _NAMES:
            found = await client.read_deployment_by_name(name)
            await client.update_deployment(found.id, DeploymentUpdate(version="0"))


@pytest.mark.e2e
@pytest.mark.reliability
@pytest.mark.usefixtures("nothing_deployed")
def test_a_request_that_the_server_rejects_is_one_line_whichever_it_is(
    prefect_api: PrefectServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make_deploy(prefect_api)
    lines: dict[str, str] = {}
    for at in range(1, 1_000):
        asyncio.run(_make_outdated())
        with rejected(at) as requests:
            try:
                main()
            except SystemExit as error:
                lines[f"{at} {requests[at - 1]}"] = str(error)
            if len(requests) < at:
                break
    capsys.readouterr()
    asyncio.run(_make_outdated())
    main()
    assert capsys.readouterr().out.count("updated (version)") == len(_NAMES)
    assert len(lines) > 20
    assert not [line for line in lines.values() if "\n" in line]
    assert {line.split(" 40")[0].split(" 500")[0] for line in lines.values() if "see above" not in line} <= {
        "The Prefect server returned",
        f"The Prefect server at {prefect_api.environment['PREFECT_API_URL']} returned",
    }


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
def test_a_record_that_the_server_refuses_to_store_is_one_line_and_the_next_deploy_finishes(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    new_version(checkout, 9)

    def refuse(request: str) -> int:
        return 403 if request.endswith(("/api/variables/", "hetzner_snapshot_protection_deployed")) else 0

    with counting_proxy(prefect_api.environment["PREFECT_API_URL"], lambda _: None, refuse=refuse) as url:
        output, _ = start_deploy(checkout, prefect_api, url=url).communicate()
    *done, last = output.splitlines()
    assert done == [
        "work pool hetzner-cloud: already exists, unchanged",
        'automation "Protect unprotected snapshots": already exists, disabled, unchanged',
    ]
    assert last.startswith(
        "The Prefect server returned 403 for POST /api/variables/. Are PREFECT_API_KEY or "
    )
    assert last.endswith("may be incomplete: run it again to finish.")
    assert line_of(deploy_from(checkout, prefect_api), FAN_OUT) == "updated (version)"


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
async def test_a_work_pool_that_was_deleted_is_created_again_and_said_so(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        await client.delete_work_pool("hetzner-cloud")
    lines = deploy_from(checkout, prefect_api)
    assert lines[0].startswith("work pool hetzner-cloud: CHECK it was deleted, and is created again without ")
    for name in _NAMES:
        assert line_of(lines, name) == (
            "updated (work_pool); CHECK it had no work pool, so nothing ran it; now in hetzner-cloud"
        )
        assert (await deployed(name))["work_pool_name"] == "hetzner-cloud"
