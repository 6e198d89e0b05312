"""Two parts of a run about the same snapshots: one after the other, whatever becomes of the first."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import pytest

from flows._snapshot_claims import SnapshotClaims

A, B = "https://a.test/v1", "https://b.test/v1"


class Part:
    """A part of a run that claims, then works until it is told to finish."""

    def __init__(self, claims: SnapshotClaims, image_ids: Iterable[int], endpoint: str = A) -> None:
        self.claims, self.endpoint, self.image_ids = claims, endpoint, list(image_ids)
        self.may_finish = asyncio.Event()
        self.error: Exception | None = None
        self.were_claimed: bool | None = None
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        async with self.claims.claim(self.endpoint, self.image_ids) as self.were_claimed:
            await self.may_finish.wait()
            if self.error:
                raise self.error

    async def finish(self) -> None:
        self.may_finish.set()
        await self.task


async def settle() -> None:
    """Let all tasks go as far as they can: none of them does any I/O."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_second_part_waits_until_the_first_has_finished() -> None:
    claims = SnapshotClaims()
    first, second, third = [Part(claims, ids) for ids in ([1, 2], [2, 3], [3])]
    await settle()
    assert [first.were_claimed, second.were_claimed, third.were_claimed] == [False, None, None]
    await first.finish()
    await settle()
    assert [second.were_claimed, third.were_claimed] == [True, None]
    await second.finish()
    await third.finish()
    assert third.were_claimed is True


async def test_parts_about_different_snapshots_do_not_wait() -> None:
    claims = SnapshotClaims()
    parts = [Part(claims, [1]), Part(claims, [2]), Part(claims, [1], endpoint=B), Part(claims, [])]
    await settle()
    assert [part.were_claimed for part in parts] == [False] * 4
    for part in parts:
        await part.finish()


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "broken"])
async def test_the_second_part_goes_on_when_the_first_does_not_finish(*, is_cancelled: bool) -> None:
    claims = SnapshotClaims()
    first, second = Part(claims, [1]), Part(claims, [1])
    await settle()
    if is_cancelled:
        first.task.cancel()
    else:
        first.error = RuntimeError("broken")
        first.may_finish.set()
    with suppress(asyncio.CancelledError, RuntimeError):
        await first.task
    await settle()
    assert second.were_claimed is True
    await second.finish()


async def test_a_part_that_is_cancelled_while_it_waits_stops_no_other() -> None:
    claims = SnapshotClaims()
    first, second, third = [Part(claims, [1]) for _ in range(3)]
    await settle()
    second.task.cancel()
    await first.finish()
    await settle()
    assert third.were_claimed is True
    await third.finish()


async def test_parts_that_have_snapshots_in_common_with_several_others_never_block_each_other() -> None:
    claims = SnapshotClaims()
    parts = [Part(claims, ids) for ids in ([1], [2], [1, 2], [2, 1], [1, 2, 3], [3])]
    for part in parts:
        part.may_finish.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*(part.task for part in parts))
