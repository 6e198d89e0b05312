"""What is read once for many: it is never older than the question, and an error is everyone's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from flows._shared_read import SharedRead


class World:
    """Has a version; reading it takes until `go` is set."""

    def __init__(self) -> None:
        self.version = 0
        self.reads = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def read(self) -> int:
        self.reads += 1
        version = self.version
        await self.go.wait()
        if self.error:
            raise self.error
        return version


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def started(read: Callable[[], Awaitable[int]]) -> asyncio.Task[int]:
    task = asyncio.ensure_future(read())
    await settle()
    return task


async def test_who_asks_while_it_is_read_gets_what_was_read_afterwards_all_from_one_read() -> None:
    world = World()
    shared = SharedRead(world.read)
    first = await started(shared)
    world.version = 1
    others = [await started(shared) for _ in range(50)]
    world.go.set()
    assert await first == 0
    assert await asyncio.gather(*others) == [1] * 50
    assert world.reads == 2


async def test_who_asks_later_gets_what_is_there_then() -> None:
    world = World()
    world.go.set()
    shared = SharedRead(world.read)
    assert await shared() == 0
    world.version = 1
    assert await shared() == 1


async def test_an_error_is_raised_to_all_who_asked_and_to_no_one_later() -> None:
    world = World()
    shared = SharedRead(world.read)
    asked = [await started(shared) for _ in range(3)]
    world.error = ValueError("gone")
    world.go.set()
    assert [str(one) for one in await asyncio.gather(*asked, return_exceptions=True)] == ["gone"] * 3
    world.error = None
    assert await shared() == 0


async def test_the_others_go_on_when_the_one_that_reads_is_cancelled() -> None:
    world = World()
    shared = SharedRead(world.read)
    first, second = await started(shared), await started(shared)
    first.cancel()
    world.go.set()
    assert await second == 0
    with pytest.raises(asyncio.CancelledError):
        await first
