"""Which 404 says that there is no such object."""

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from blocks.missing_objects import is_missing
from playground.server import PrefectServer


@pytest.mark.parametrize("slug", ["snapshot-policy", "no-such-type"])
async def test_prefect_names_what_it_has_not_found(engine: PrefectServer, slug: str) -> None:
    async with get_client() as client:
        with pytest.raises(ObjectNotFound) as block:
            await client.read_block_document_by_name("no-such-block", slug)
        with pytest.raises(ObjectNotFound) as deployment:
            await client.read_deployment_by_name("no-such-flow/deployment")
    assert is_missing(block.value)
    assert is_missing(deployment.value)


@pytest.mark.parametrize("body", ["", "<html></html>", "[]", '{"detail": "Not Found"}', '{"message": "no"}'])
def test_what_is_not_prefect_s_says_nothing(body: str) -> None:
    request = httpx.Request("GET", "http://127.0.0.1/api/")
    response = httpx.Response(404, request=request, text=body)
    assert not is_missing(ObjectNotFound(httpx.HTTPStatusError("no", request=request, response=response)))
    assert not is_missing(ObjectNotFound(Exception("no response")))
