"""A page that fails is tried again by itself: of hundreds, one would cost all others, at each try."""

import asyncio
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, ServerError
from hetzner_cloud.page_retries import PageRetries
from hetzner_cloud.pages import ImagesPage
from hetzner_cloud.pagination import fetch_in_reverse, fetch_pages
from hetzner_cloud.retry import RetryPolicy
from hetzner_cloud.settings import Settings
from sandbox import Fault, Sandbox, serve
from tests.support.api_json import image_json

AT_ONCE = RetryPolicy(base_seconds=0)
BROKEN = ServerError("GET /images returned 502", "bad_gateway", 502)


class Pages:
    """A list of pages with an image each, of which some requests fail."""

    def __init__(self, last: int, fails: Callable[[int, int], HetznerCloudError | None]) -> None:
        self.last = last
        self.fails = fails
        self.requests: list[int] = []

    async def fetch(self, number: int) -> ImagesPage:
        self.requests.append(number)
        await asyncio.sleep(0)
        if error := self.fails(number, self.requests.count(number)):
            raise error
        following = number + 1 if number < self.last else None
        meta = {"next_page": following, "last_page": self.last, "total_entries": self.last}
        return ImagesPage.model_validate({"images": [image_json(number)], "meta": {"pagination": meta}})


@pytest.mark.parametrize("read", [fetch_pages, fetch_in_reverse])
async def test_one_try_more_is_made_of_each_page_that_failed_and_none_of_the_others(
    read: Callable[..., object],
) -> None:
    pages = Pages(100, lambda number, tries: BROKEN if number % 25 == 0 and tries == 1 else None)
    found = await read(PageRetries(pages.fetch, AT_ONCE))  # type: ignore[misc]  # both are async
    assert sorted(image.id for one in found for image in one.images) == list(range(1, 101))
    again = 1 if read is fetch_in_reverse else 0  # its first page is also its last
    assert len(pages.requests) == 100 + 4 + again


async def test_the_first_request_of_a_list_is_its_caller_s_to_repeat() -> None:
    pages = Pages(3, lambda _number, _tries: BROKEN)
    with pytest.raises(ServerError):
        await fetch_pages(PageRetries(pages.fetch, AT_ONCE))
    assert pages.requests == [1]


async def test_a_page_that_always_fails_is_given_up_after_five_retries() -> None:
    pages = Pages(100, lambda number, _tries: BROKEN if number == 7 else None)
    with pytest.raises(ServerError):
        await fetch_pages(PageRetries(pages.fetch, AT_ONCE))
    assert pages.requests.count(7) == 6


async def test_a_list_is_given_up_when_more_than_a_twentieth_of_its_pages_fail() -> None:
    pages = Pages(1_000, lambda number, _tries: BROKEN if number > 1 else None)
    with pytest.raises(ServerError):
        await fetch_pages(PageRetries(pages.fetch, RetryPolicy()))  # no request waits for a retry
    assert len(pages.requests) == 1_000
    few = Pages(
        1_000, lambda number, tries: BROKEN if number > 1 and number % 21 == 0 and tries == 1 else None
    )
    assert len(await fetch_pages(PageRetries(few.fetch, AT_ONCE))) == 1_000


async def test_an_error_that_is_not_transient_ends_a_list_at_once() -> None:
    rejected = AuthenticationError("no", "unauthorized", 401)
    pages = Pages(3, lambda number, _tries: rejected if number == 2 else None)
    with pytest.raises(AuthenticationError):
        await fetch_pages(PageRetries(pages.fetch, AT_ONCE))
    assert pages.requests.count(2) == 1


async def test_a_list_is_read_whole_when_two_of_its_pages_fail_once() -> None:
    sandbox = Sandbox(snapshots=300)
    sandbox.faults.add(Fault(kind="html", operation="list_images", after=2, times=2))
    with serve(sandbox):
        config = ClientConfig(SecretStr(sandbox.token), sandbox.endpoint)
        async with HetznerCloudClient(config, Settings(retry_base_delay_seconds=0.001)) as client:
            assert len(await client.list_images(type="snapshot")) == 300
    assert len(sandbox.requests) == 6 + 2
