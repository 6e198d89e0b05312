"""One client, so one connection pool and one rate-limit state, per project and event loop."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient

_Key = tuple[SecretStr, str, float, str]


@dataclass
class _Lease:
    client: HetznerCloudClient
    users: int = 0


_LEASES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, _Lease]] = WeakKeyDictionary()

_MAX_IN_FLIGHT = 200  # requests of all projects on a loop; but each may have one


@asynccontextmanager
async def pooled_client(
    token: SecretStr, endpoint: str, *, rate_limit_reserve: float, owner: str
) -> AsyncIterator[HetznerCloudClient]:
    """Lend the running event loop's client for a project; the last user to leave closes it.

    Raises:
        InvalidArgumentError: The token, the endpoint or the reserve is not usable.
    """
    leases = _LEASES.setdefault(asyncio.get_running_loop(), {})
    key = (token, endpoint, rate_limit_reserve, owner)
    if key not in leases:
        leases[key] = _Lease(
            HetznerCloudClient(token, endpoint, rate_limit_reserve=rate_limit_reserve, owner=owner)
        )
        _rebalance(leases.values())
    lease = leases[key]
    lease.users += 1
    try:
        yield lease.client
    finally:
        lease.users -= 1
        if lease.users == 0:
            del leases[key]
            _rebalance(leases.values())
            await lease.client.__aexit__(None, None, None)


def _rebalance(leases: Collection[_Lease]) -> None:
    """Of many projects each gets less, so that connections and memory are bounded."""
    for lease in leases:
        lease.client.share(_MAX_IN_FLIGHT // len(leases))
