"""Paging: page 1, then all others at once, to an end that comes; and a list that moved is read again."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hetzner_cloud.errors import InvalidResponseError, ServerError
from hetzner_cloud.pagination import (
    ImagesPage,
    changed_while_reading,
    fetch_consistently,
    fetch_in_reverse,
    fetch_pages,
    gather_or_cancel,
)
from hetzner_cloud.responses import Answer, parse_model
from hetzner_cloud.retry import is_transient
from tests.support.responses import image_json, meta_json

ABSENT: Any = object()


def page(*ids: int, meta: Any = ABSENT) -> ImagesPage:
    body = {"images": [image_json(number) for number in ids]}
    return ImagesPage.model_validate(body if meta is ABSENT else body | {"meta": meta})


def following(next_page: int | None, last_page: int | None = None) -> dict[str, Any]:
    return {"pagination": {"next_page": next_page, "last_page": last_page}}


class Pages:
    """Answers pages by a function of their number; notes which were asked for, and how many at once."""

    def __init__(self, answer: Callable[[int], ImagesPage]) -> None:
        self.answer = answer
        self.asked: list[int] = []
        self.under_way = 0
        self.most = 0

    async def fetch(self, number: int) -> ImagesPage:
        self.asked.append(number)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            return self.answer(number)
        finally:
            self.under_way -= 1


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
    ids=str,
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
    answer = Answer("GET /images", 200, json.dumps({"images": [image_json(1)], "meta": meta}).encode())
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
async def test_the_pages_after_the_first_are_asked_for_at_once(last: int) -> None:
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


async def test_a_list_is_followed_to_its_end_when_it_grew_meanwhile() -> None:
    pages = Pages(lambda number: page(number, meta=meta_json(number, 2 if number == 1 else 4)))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2, 3, 4]


async def test_a_page_beyond_the_end_is_empty_when_the_list_shrank_meanwhile() -> None:
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
    with pytest.raises(InvalidResponseError, match="do not come to an end") as caught:
        await fetch_pages(pages.fetch)
    assert caught.value.code == "invalid_response"
    assert is_transient(caught.value)
    assert len(pages.asked) < 10


@pytest.mark.parametrize("last_page", [20_001, 2**31, 2**63])
async def test_a_list_of_absurdly_many_pages_is_refused_after_the_first(last_page: int) -> None:
    pages = Pages(lambda _number: page(1, meta=following(2, last_page)))
    with pytest.raises(InvalidResponseError, match=f"says that {last_page} is the last one"):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1]


async def test_a_jump_to_an_absurd_page_is_refused() -> None:
    pages = Pages(lambda _number: page(1, meta=following(10**9)))
    with pytest.raises(InvalidResponseError):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1]


async def test_a_fault_of_one_page_cancels_the_others_and_is_raised_as_it_is() -> None:
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


async def test_a_fault_of_the_first_page_is_raised_as_it_is() -> None:
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


async def test_one_fault_is_raised_when_all_fail_together() -> None:
    async def fail(number: int) -> None:
        raise ServerError(f"fault {number}")

    with pytest.raises(ServerError, match="fault 0"):
        await gather_or_cancel(fail(number) for number in range(5))


async def test_answers_keep_their_order_when_the_later_ones_come_first() -> None:
    async def answer(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    assert await gather_or_cancel(answer(number) for number in range(5)) == [0, 1, 2, 3, 4]
    assert await gather_or_cancel(answer(number) for number in range(0)) == []


# A list that moves


def listed(*pages: Sequence[int], totals: Sequence[int | None] = ()) -> list[ImagesPage]:
    told = list(totals) or [None] * len(pages)
    return [
        page(*ids, meta=meta_json(number, len(pages), total_entries=total))
        for number, (ids, total) in enumerate(zip(pages, told, strict=True), start=1)
    ]


@pytest.mark.parametrize(
    ("pages", "has"),
    [
        ([], False),
        (listed([3, 2, 1]), False),
        (listed([6, 5], [4, 3], [2, 1], totals=[6, 6, 6]), False),
        (listed([6, 5], [4, 3], [2, 1]), False),
        (listed([6, 5], [5, 4], [3, 2], totals=[6, 7, 7]), True),
        (listed([6, 5], [5, 4]), True),
        (listed([6, 5], [3, 2], totals=[6, 5]), True),
        ([*listed([6, 5], [3, 2], totals=[6, 5]), page(1)], True),
        (listed([6, 5], [4, 3], totals=[6, 7]), False),
        ([page(6, 5), page(4)], False),
    ],
    ids=[
        "empty",
        "one page",
        "steady",
        "no totals",
        "grew and repeats one",
        "repeats one",
        "shrank",
        "shrank, a page without meta",
        "grew behind",
        "no meta",
    ],
)
def test_a_list_has_moved_when_it(pages: list[ImagesPage], *, has: bool) -> None:
    assert changed_while_reading(pages) is has


class Readings:
    """One reading of a list after the other."""

    def __init__(self, *readings: list[ImagesPage]) -> None:
        self.readings = list(readings)
        self.made = 0

    async def read(self) -> list[ImagesPage]:
        self.made += 1
        return self.readings.pop(0)


SHRANK = listed([6, 5], [3, 2], totals=[6, 5])  # 4 moved up to page 1 when an earlier one went


async def test_a_steady_list_is_read_once_and_comes_by_ascending_id() -> None:
    readings = Readings(listed([6, 5], [4, 3], totals=[4, 4]))
    assert [image.id for image in await fetch_consistently(readings.read, readings.read)] == [3, 4, 5, 6]
    assert readings.made == 1


@pytest.mark.parametrize(
    "first", [SHRANK, listed([6, 5], [5, 3], totals=[5, 5])], ids=["it shrank", "it repeats one"]
)
async def test_a_list_is_read_again_and_the_last_reading_is_returned_when(first: list[ImagesPage]) -> None:
    readings = Readings(first, listed([5, 4], [3, 2], totals=[4, 4]))
    assert [image.id for image in await fetch_consistently(readings.read, readings.read)] == [2, 3, 4, 5]
    assert readings.made == 2


async def test_a_list_that_never_stands_still_is_read_three_times() -> None:
    readings = Readings(SHRANK, SHRANK, listed([9, 8], [6, 5], totals=[6, 5]), SHRANK)
    assert [image.id for image in await fetch_consistently(readings.read, readings.read)] == [5, 6, 8, 9]
    assert readings.made == 3


async def test_an_image_is_returned_as_it_was_last_seen() -> None:
    again = page(6, 5, 3)
    later = again.model_copy(
        update={
            "images": tuple(
                image.model_copy(update={"description": "later"}) if image.id == 6 else image
                for image in again.images
            )
        }
    )
    readings = Readings(SHRANK, [later])
    assert [image.description for image in await fetch_consistently(readings.read, readings.read)][
        -1
    ] == "later"


async def test_a_list_of_several_pages_without_totals_is_read_until_two_readings_agree() -> None:
    lost_one = listed([6, 5], [3, 2])
    readings = Readings(lost_one, listed([5, 4], [3, 2]), listed([5, 4], [3, 2]))
    assert [image.id for image in await fetch_consistently(readings.read, readings.read)] == [2, 3, 4, 5]
    assert readings.made == 3


async def test_a_list_that_brings_nothing_new_is_left_after_one_page_more() -> None:
    pages = Pages(lambda number: page(1, meta=following(number + 1)))
    with pytest.raises(InvalidResponseError, match="nothing new"):
        await fetch_pages(pages.fetch)
    assert pages.asked == [1, 2]


async def test_no_more_pages_are_asked_for_than_the_total_can_fill() -> None:
    meta = {"pagination": {"page": 1, "next_page": 2, "last_page": 900, "total_entries": 3}}
    pages = Pages(lambda number: page(number, meta=meta if number == 1 else None))
    assert ids_of(await fetch_pages(pages.fetch)) == [1, 2, 3]
    assert pages.asked == [1, 2, 3]


async def test_the_pages_are_read_from_the_last_to_the_first_when_the_list_moves() -> None:
    pages = Pages(lambda number: page(number, meta=following(number + 1 if number < 4 else None, 4)))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [4, 3, 2, 1]
    assert pages.asked == [1, 4, 3, 2, 1]


async def test_one_page_is_enough_backwards_too_when_there_is_only_one() -> None:
    pages = Pages(lambda _number: page(1))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [1]
    assert pages.asked == [1]


async def test_the_pages_are_followed_forwards_when_nobody_says_which_is_the_last() -> None:
    pages = Pages(lambda number: page(number, meta=following(number + 1 if number < 3 else None)))
    assert ids_of(await fetch_in_reverse(pages.fetch)) == [1, 2, 3]


async def test_a_list_that_grows_by_whole_pages_meanwhile_is_no_endless_one() -> None:
    def answer(number: int) -> ImagesPage:
        meta = {"next_page": number + 1 if number < 4 else None, "last_page": 2, "total_entries": 2 + number}
        return page(1 if number < 4 else 9, meta={"pagination": meta})

    assert ids_of(await fetch_pages(Pages(answer).fetch)) == [1, 1, 1, 9]
