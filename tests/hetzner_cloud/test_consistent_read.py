"""A list that may have changed while its pages were read is read again."""

from collections.abc import Sequence
from typing import Any

import pytest

from hetzner_cloud.consistent_read import changed_while_reading, fetch_images, fetch_servers
from hetzner_cloud.errors import InvalidResponseError
from hetzner_cloud.pages import ImagesPage, ServersPage
from hetzner_cloud.unreadable_entries import UnreadableImagesError, UnreadableServersError
from tests.support.api_json import image_json, meta_json, server_json


def page(*ids: int, meta: Any = None) -> ImagesPage:
    return ImagesPage.model_validate({"images": [image_json(number) for number in ids], "meta": meta})


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
def test_a_list_has_changed_when_it(pages: list[ImagesPage], *, has: bool) -> None:
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


async def test_a_stable_list_is_read_once_and_returned_by_ascending_id() -> None:
    readings = Readings(listed([6, 5], [4, 3], totals=[4, 4]))
    assert [image.id for image in await fetch_images(readings.read, readings.read)] == [3, 4, 5, 6]
    assert readings.made == 1


@pytest.mark.parametrize(
    "first", [SHRANK, listed([6, 5], [5, 3], totals=[5, 5])], ids=["it shrank", "it repeats one"]
)
async def test_a_list_is_read_again_and_the_last_reading_is_returned_when(first: list[ImagesPage]) -> None:
    readings = Readings(first, listed([5, 4], [3, 2], totals=[4, 4]))
    assert [image.id for image in await fetch_images(readings.read, readings.read)] == [2, 3, 4, 5]
    assert readings.made == 2


async def test_a_list_that_never_stands_still_is_read_three_times() -> None:
    readings = Readings(SHRANK, SHRANK, listed([9, 8], [6, 5], totals=[6, 5]), SHRANK)
    assert [image.id for image in await fetch_images(readings.read, readings.read)] == [5, 6, 8, 9]
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
    assert [image.description for image in await fetch_images(readings.read, readings.read)][-1] == "later"


async def test_a_list_of_several_pages_without_totals_is_read_until_two_readings_agree() -> None:
    lost_one = listed([6, 5], [3, 2])
    readings = Readings(lost_one, listed([5, 4], [3, 2]), listed([5, 4], [3, 2]))
    assert [image.id for image in await fetch_images(readings.read, readings.read)] == [2, 3, 4, 5]
    assert readings.made == 3


# Images that cannot be read


def corrupted(*entries: Any, total: int | None = None) -> ImagesPage:
    meta = {"pagination": {"total_entries": total}}
    return ImagesPage.model_validate({"images": list(entries), "meta": meta})


async def test_an_image_that_cannot_be_read_comes_with_all_others_after_one_reading() -> None:
    bad = image_json(4, protection=None)
    readings = Readings(
        [corrupted(image_json(5), bad, total=4), corrupted(image_json(3), image_json(0), total=4)]
    )
    with pytest.raises(UnreadableImagesError) as caught:
        await fetch_images(readings.read, readings.read)
    assert [image.id for image in caught.value.images] == [3, 5]
    assert [entry.id for entry in caught.value.unreadable] == [4, None]


async def test_a_list_that_changed_is_read_again_when_an_image_cannot_be_read() -> None:
    bad = image_json(4, protection=None)
    twice = [corrupted(image_json(5), bad, total=3), corrupted(bad, image_json(3), total=3)]
    whole = [corrupted(image_json(5), bad, total=3), corrupted(image_json(3), total=3)]
    with pytest.raises(UnreadableImagesError) as caught:
        await fetch_images(Readings(twice, whole).read, Readings().read)
    assert [entry.id for entry in caught.value.unreadable] == [4]


async def test_an_image_is_as_last_seen_when_only_an_earlier_page_could_not_be_read() -> None:
    pages = [corrupted(image_json(3, protection=None)), corrupted(image_json(3), image_json(2))]
    changed = Readings(pages, pages, pages)
    assert [image.id for image in await fetch_images(changed.read, changed.read)] == [2, 3]


# Servers


def servers(*entries: Any, total: int) -> ServersPage:
    meta = {"pagination": {"total_entries": total}}
    return ServersPage.model_validate({"servers": list(entries), "meta": meta})


class ServerReadings:
    """One reading of a list of servers after the other."""

    def __init__(self, *readings: list[ServersPage]) -> None:
        self.readings = list(readings)

    async def read(self) -> list[ServersPage]:
        return self.readings.pop(0)


async def test_servers_are_read_again_when_their_list_became_shorter_and_each_is_returned_as_last_seen() -> (
    None
):
    shrank = [servers(server_json(4), server_json(3), total=4), servers(server_json(1), total=3)]
    again = [
        servers(server_json(3, image=None), server_json(2), total=3),
        servers(server_json(1), total=3),
    ]
    readings = ServerReadings(shrank, again)
    found = await fetch_servers(readings.read, readings.read)
    assert [(server.id, server.image_id) for server in found] == [(1, 4711), (2, 4711), (3, None)]
    assert not readings.readings


async def test_a_list_of_servers_that_never_stands_still_is_read_in_reverse_at_last() -> None:
    moves = [servers(server_json(3), total=3), servers(server_json(3), total=3)]
    reverse = ServerReadings([servers(server_json(1), total=2), servers(server_json(2), total=2)])
    found = await fetch_servers(ServerReadings(moves, moves).read, reverse.read)
    assert [server.id for server in found] == [1, 2]


async def test_a_server_that_cannot_be_read_is_raised_with_all_others() -> None:
    readings = ServerReadings([servers(server_json(3), {"id": 2}, server_json(0), total=3)])
    with pytest.raises(UnreadableServersError) as caught:
        await fetch_servers(readings.read, readings.read)
    assert [server.id for server in caught.value.servers] == [3]
    assert [entry.id for entry in caught.value.unreadable] == [2, None]


async def test_a_list_of_servers_that_has_fewer_than_it_says_is_an_error() -> None:
    def short() -> ServerReadings:
        return ServerReadings(*[[servers(server_json(3), server_json(2), total=3)]] * 2)

    with pytest.raises(InvalidResponseError, match="The list of servers is incomplete: 2 of 3"):
        await fetch_servers(short().read, short().read)


async def test_servers_that_cannot_be_read_are_counted() -> None:
    readings = ServerReadings([servers(server_json(3), {"id": 2}, {"id": 0}, total=3)])
    with pytest.raises(UnreadableServersError):
        await fetch_servers(readings.read, readings.read)
