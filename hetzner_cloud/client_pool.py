"""One client, so one connection pool and one rate-limit state, per project and event loop.

When the last user leaves, the rate-limit state stays if it holds requests back: a task that is tried again,
without a client held open around it, still waits as long as the response to its first try asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.settings import Settings
from hetzner_cloud.throttle import Throttle

_MAX_IN_FLIGHT = 200  # requests of all projects on a loop; but each may have one


@dataclass
class _Lease:
    client: HetznerCloudClient
    users: int = 0


_THROTTLES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ClientConfig, Throttle]] = WeakKeyDictionary()
_LEASES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ClientConfig, _Lease]] = WeakKeyDictionary()


@asynccontextmanager
async def pooled_client(config: ClientConfig) -> AsyncIterator[HetznerCloudClient]:
    """Lend the running event loop's client for a project; the last user to leave closes it.

    Raises:
        InvalidArgumentError: A setting of the environment is invalid.
    """
    leases = _LEASES.setdefault(asyncio.get_running_loop(), {})
    if config not in leases:
        leases[config] = _Lease(_client(config))
        _rebalance(leases.values())
    lease = leases[config]
    lease.users += 1
    try:
        yield lease.client
    finally:
        lease.users -= 1
        if lease.users == 0:
            del leases[config]
            _forget_idle(config)
            _rebalance(leases.values())
            await lease.client.__aexit__(None, None, None)


def _client(config: ClientConfig) -> HetznerCloudClient:
    settings = Settings.from_environment()
    throttles = _THROTTLES.setdefault(asyncio.get_running_loop(), {})
    throttle = throttles.setdefault(config, Throttle(config, settings))
    return HetznerCloudClient(config, settings, throttle=throttle)


def _forget_idle(config: ClientConfig) -> None:
    throttles = _THROTTLES[asyncio.get_running_loop()]
    if not throttles[config].is_holding:
        del throttles[config]


def _rebalance(leases: Collection[_Lease]) -> None:
    """Give each of many projects fewer connections, so that connections and memory are bounded."""
    for lease in leases:
        lease.client.limit_concurrency(_MAX_IN_FLIGHT // len(leases))
