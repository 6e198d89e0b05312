"""One client, so one connection pool and one rate-limit state, per project and event loop."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig

_MAX_IN_FLIGHT = 200  # requests of all projects on a loop; but each may have one


@dataclass
class _Lease:
    client: HetznerCloudClient
    users: int = 0


_LEASES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ClientConfig, _Lease]] = WeakKeyDictionary()


@asynccontextmanager
async def pooled_client(config: ClientConfig) -> AsyncIterator[HetznerCloudClient]:
    """Lend the running event loop's client for a project; the last user to leave closes it.

    Raises:
        InvalidArgumentError: A setting of the environment is invalid.
    """
    leases = _LEASES.setdefault(asyncio.get_running_loop(), {})
    if config not in leases:
        leases[config] = _Lease(HetznerCloudClient(config))
        _rebalance(leases.values())
    lease = leases[config]
    lease.users += 1
    try:
        yield lease.client
    finally:
        lease.users -= 1
        if lease.users == 0:
            del leases[config]
            _rebalance(leases.values())
            await lease.client.__aexit__(None, None, None)


def _rebalance(leases: Collection[_Lease]) -> None:
    """Give each of many projects fewer connections, so that connections and memory are bounded."""
    for lease in leases:
        lease.client.limit_concurrency(_MAX_IN_FLIGHT // len(leases))
