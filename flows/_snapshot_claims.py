"""Two tokens of one project in a run: the part that lists a snapshot first goes first, the other waits."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Snapshot = tuple[str, int]
"""The endpoint and the image id: at one endpoint an id belongs to one image only."""


@dataclass(frozen=True)
class SnapshotClaims:
    """Which parts of a run are about the same project: those share a lock, in the order of their claims.

    A part holds one lock at most, and waits for none while it does, so they cannot block each other; one that
    is cancelled or breaks lets the next one go on.
    """

    locks: dict[Snapshot, asyncio.Lock] = field(default_factory=dict)

    @asynccontextmanager
    async def claim(self, endpoint: str, image_ids: Iterable[int]) -> AsyncIterator[bool]:
        """Claim snapshots for as long as the context lasts, once no other part is about them any more.

        Yields:
            Whether another part claimed one of them before, and may have changed them since they were listed.
        """
        snapshots = [(endpoint, image_id) for image_id in image_ids]
        known = next((self.locks[one] for one in snapshots if one in self.locks), None)
        lock = known or asyncio.Lock()
        self.locks.update({one: lock for one in snapshots if one not in self.locks})
        async with lock:
            yield known is not None
