"""Paging: page 1, then all others at once, to an end that comes; and a list that moved is read again."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hetzner_cloud.errors import InvalidResponseError, ServerError
from hetzner_cloud.pages import ImagesPage
from hetzner_cloud.pagination import fetch_in_reverse, fetch_pages, gather_or_cancel
from hetzner_cloud.responses import ApiResponse, parse_model
from hetzner_cloud.retry import is_transient
from tests.support.api_json import body_of, image_json, meta_json

ABSENT: Any = object()


def page(*ids: int, meta: Any = ABSENT) -> ImagesPage:
    body = {"images": [image_json(number) for number in ids]}
    return ImagesPage.model_validate(body if meta is ABSENT else body | {"meta": meta})


def following(next_page: int | None, last_page: int | None = None) -> dict[str, Any]:
    return {"pagination": {"next_page": next_page, "last_page": last_page}}


class Pages:
    """Returns pages by a function of their number; records which were requested, and how many at once."""

    def __init__(self, answer: Callable[[int], ImagesPage]) -> None:
        self.answer = answer
        self.asked: list[int] = []
        self.in_flight = 0
        self.most = 0

    async def fetch(self, number: int) -> ImagesPage:
        self.asked.append(number)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            return self.answer(number)
        finally:
            self.in_flight -= 1


def ids_of(pages: Sequence[ImagesPage]) -> list[int]:
    return [image.id for read in pages for image in read.images]


@pytest.mark.parametrize(
    "meta",
    [
        ABSENT,
        None,
        {},
        {"pagination": {}},
        following(None),
        following(None, 5),
        {"pagination": {"next_page": 0}},
        {"pagination": {"page": 1, "unheard_of": [1]}, "unheard_of": 1},
    ],
    ids=lambda meta: "absent" if meta is ABSENT else str(meta),
)
async def test_a_list_is_one_page_when_its_meta_is(meta: Any) -> None:
    pages = Pages(lambda _number: page(1, 2, meta=meta))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2]
    assert pages.asked == [1]


@pytest.mark.parametrize(
    "meta",
    ["2", [2], {"pagination": 2}, {"pagination": {"next_page": "2"}}, {"pagination": {"next_page": 2.5}}],
    ids=str,
)
def test_a_list_is_not_cut_short_when_its_meta_cannot_be_read(meta: Any) -> None:
    answer = ApiResponse("GET /images", 200, body_of({"images": [image_json(1)], "meta": meta}))
    with pytest.raises(InvalidResponseError, match="meta"):
        parse_model(ImagesPage, answer)


async def test_the_pages_are_followed_when_the_last_one_and_the_total_cannot_be_read() -> None:
    place = {"last_page": "two", "total_entries": "many"}
    pages = Pages(lambda n: page(n, meta={"pagination": {"next_page": 2 if n == 1 else None} | place}))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2]


async def test_an_empty_list_is_one_page() -> None:
    pages = Pages(lambda _number: page(meta=meta_json(1, 1)))
    assert ids_of(await fetch_pages(pages.fetch)) == []


@pytest.mark.parametrize("last", [2, 3, 30])
async def test_the_pages_after_the_first_are_requested_at_once(last: int) -> None:
    pages = Pages(lambda number: page(number, meta=meta_json(number, last)))
    assert ids_of(await fetch_pages(pages.fetch)) == list(range(1, last + 1))
    assert pages.asked == list(range(1, last + 1))
    assert pages.most == last - 1


@pytest.mark.parametrize("last_page", [None, 0, 1, -5])
async def test_the_pages_are_followed_one_by_one_when_the_last_one_is(last_page: int | None) -> None:
    pages = Pages(lambda number: page(number, meta=following(number + 1 if number < 4 else None, last_page)))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2, 3, 4]
    assert pages.asked == [1, 2, 3, 4]
    assert pages.most == 1


async def test_a_list_is_followed_to_its_end_when_it_grew_during_the_read() -> None:
    pages = Pages(lambda number: page(number, meta=meta_json(number, 2 if number == 1 else 4)))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2, 3, 4]


async def test_a_page_beyond_the_end_is_empty_when_the_list_shrank_during_the_read() -> None:
    pages = Pages(
        lambda number: page(
            *([number] if number < 3 else []), meta=meta_json(number, 3 if number == 1 else 2)
        )
    )
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2]


@pytest.mark.parametrize(
    "loop", [{1: 1}, {1: 2, 2: 1}, {1: 2, 2: 2}, {1: 7, 7: 7}, {1: 2, 2: 3, 3: 2}, {1: -1}], ids=str
)
async def test_a_list_that_goes_round_in_circles_is_no_list(loop: dict[int, int]) -> None:
    pages = Pages(lambda number: page(number, meta=following(loop[number])))
    with pytest.raises(InvalidResponseError, match="did not terminate") as caught:
        await fetch_pages(pages.fetch)
    assert caught.value.code == "invalid_response"
    assert is_transient(caught.value)
    assert len(pages.asked) < 10


@pytest.mark.parametrize("last_page", [20_001, 2**31, 2**63])
async def test_a_list_of_absurdly_many_pages_is_rejected_after_the_first(last_page: int) -> None:
    pages = Pages(lambda _number: page(1, meta=following(2, last_page)))
    with pytest.raises(InvalidResponseError, match=f"states that {last_page} is the last one"):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1]


async def test_a_jump_to_an_absurd_page_is_rejected() -> None:
    pages = Pages(lambda _number: page(1, meta=following(10**9)))
    with pytest.raises(InvalidResponseError):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1]


async def test_an_error_of_one_page_cancels_the_others_and_is_raised_as_it_is() -> None:
    fault = ServerError("oops", "server_error", 500)
    cancelled: list[int] = []

    async def fetch(number: int) -> ImagesPage:
        if number == 1:
            return page(1, meta=meta_json(1, 9))
        if number == 5:
            raise fault
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        raise AssertionError

    with pytest.raises(ServerError) as caught:
        await fetch_pages(fetch)
    assert caught.value is fault
    assert {2, 3, 4} <= set(cancelled) <= {2, 3, 4, 6, 7, 8, 9}
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_of_the_first_page_is_raised_as_it_is() -> None:
    def answer(_number: int) -> ImagesPage:
        raise ServerError("oops", "server_error", 500)

    with pytest.raises(ServerError):
        await fetch_pages(Pages(answer).fetch)


async def test_all_pages_are_left_when_the_reading_is_cancelled() -> None:
    waiting, started = asyncio.Event(), asyncio.Event()

    async def fetch(number: int) -> ImagesPage:
        if number > 1:
            started.set()
            await waiting.wait()
        return page(number, meta=meta_json(number, 5))

    reading = asyncio.create_task(fetch_pages(fetch))
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len(asyncio.all_tasks()) == 1


async def test_one_error_is_raised_when_all_fail_together() -> None:
    async def fail(number: int) -> None:
        raise ServerError(f"fault {number}")

    with pytest.raises(ServerError, match="fault 0"):
        await gather_or_cancel(fail(number) for number in range(5))


async def test_results_keep_their_order_when_the_later_ones_finish_first() -> None:
    async def answer(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    assert await gather_or_cancel(answer(number) for number in range(5)) == [0, 1, 2, 3, 4]
    assert await gather_or_cancel(answer(number) for number in range(0)) == []


# A list that moves


async def test_a_list_that_brings_nothing_new_is_left_after_one_page_more() -> None:
    pages = Pages(lambda number: page(1, meta=following(number + 1)))
    with pytest.raises(InvalidResponseError, match="nothing new"):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1, 2]


async def test_no_more_pages_are_requested_than_the_total_can_fill() -> None:
    meta = {"pagination": {"page": 1, "next_page": 2, "last_page": 900, "total_entries": 3}}
    pages = Pages(lambda number: page(number, meta=meta if number == 1 else None))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2, 3]
    assert pages.asked == [1, 2, 3]


async def test_the_pages_are_read_from_the_last_to_the_first_when_the_list_moves() -> None:
    pages = Pages(lambda number: page(number, meta=following(number + 1 if number < 4 else None, 4)))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [4, 3, 2, 1]
    assert pages.asked == [1, 4, 3, 2, 1]


async def test_one_page_is_enough_in_reverse_too_when_there_is_only_one() -> None:
    pages = Pages(lambda _number: page(1))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [1]
    assert pages.asked == [1]


async def test_the_pages_are_followed_forwards_when_the_last_one_is_unknown() -> None:
    pages = Pages(lambda number: page(number, meta=following(number + 1 if number < 3 else None)))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [1, 2, 3]


async def test_a_list_that_grows_by_whole_pages_during_the_read_is_no_endless_one() -> None:
    def answer(number: int) -> ImagesPage:
        meta = {"next_page": number + 1 if number < 4 else None, "last_page": 2, "total_entries": 2 + number}
        return page(1 if number < 4 else 9, meta={"pagination": meta})

    assert ids_of(await fetch_pages(Pages(answer).fetch)) == [1, 1, 1, 9]


# Entries that cannot be read


def without_ids(count: int, meta: Any) -> ImagesPage:
    return ImagesPage.model_validate({"images": [{}] * count, "meta": meta})


async def test_all_pages_are_read_when_no_entry_of_the_first_has_an_id() -> None:
    pages = Pages(
        lambda n: (
            without_ids(50, meta_json(1, 3, total_entries=102)) if n == 1 else page(n, meta=meta_json(n, 3))
        )
    )
    assert ids_of(await fetch_pages(pages.fetch)) == [2, 3]
    assert pages.asked == [1, 2, 3]


async def test_the_last_page_is_not_left_out_when_all_that_is_new_on_it_has_no_id() -> None:
    pages = Pages(lambda n: page(1, meta=following(2)) if n == 1 else without_ids(1, following(None)))
    assert [one.size for one in await fetch_pages(pages.fetch)] == [1, 1]


async def test_no_more_pages_are_requested_than_the_total_can_fill_when_some_have_no_id() -> None:
    meta = {"pagination": {"page": 1, "next_page": 2, "last_page": 900, "total_entries": 100}}
    body = {"images": [{}] * 49 + [image_json(1)], "meta": meta}
    pages = Pages(lambda n: ImagesPage.model_validate(body) if n == 1 else page(n))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2]


@pytest.mark.parametrize("digits", [17, 400, 4_000])
@pytest.mark.parametrize("name", ["next_page", "last_page", "total_entries"])
def test_a_number_of_pages_with_so_many_digits_is_no_defect(name: str, digits: int) -> None:
    pagination = {"next_page": 2, name: int("9" * digits)}
    content = {"images": [image_json(1)], "meta": {"pagination": pagination}}

    async def fetch(_number: int) -> ImagesPage:
        return parse_model(ImagesPage, ApiResponse("GET /images", 200, body_of(content)))

    with pytest.raises(InvalidResponseError) as caught:
        asyncio.run(fetch_pages(fetch, max_pages=None))
    assert len(str(caught.value)) < 300
