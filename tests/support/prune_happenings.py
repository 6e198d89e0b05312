"""What other users and the clock do to a project that prune runs meet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from records.exemptions import save_exemptions
from sandbox.clock import rfc3339
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from tests.support.prune_reference import EDITED_POLICY, Json
from tests.support.prune_world import NAME, World
from tests.support.watched_runs import WatchedRun, within

LABELS = ("dev", "dev", "kept", "prod", "scratch")
_SERVERS = ({"id": 40_000_001, "name": "db-1"}, {"id": 40_000_002, "name": "web-1"})
_UNREADABLE = {"status": 17, "labels": ["x"], "created": "soon", "created_from": {"id": "x", "name": 3}}
_READABLE = {
    "status": "available",
    "labels": {"env": "dev"},
    "created": rfc3339(1_700_000_000.0),
    "created_from": None,
}


@dataclass(frozen=True)
class Other:
    """Another user changes something; `which` chooses among what there is."""

    what: str
    which: int = 0

    async def __call__(self, world: World, _run: WatchedRun | None = None) -> None:
        if change := _CHANGES_OF_ONE.get(self.what):
            if ids := sorted(world.sandbox.images):
                await change(world, ids[self.which % len(ids)], self.which)
            return
        match self.what:
            case "add":
                add_snapshot(world, self.which)
            case "add newer":
                add_candidates(world, 1)
            case "edit policy":
                world.policy = EDITED_POLICY
            case "delete server" if world.sandbox.servers:
                servers = sorted(world.sandbox.servers)
                world.sandbox.delete_server(servers[self.which % len(servers)])
            case _:
                pass


@dataclass(frozen=True)
class Jump:
    """The clock jumps."""

    hours: float

    async def __call__(self, world: World, _run: WatchedRun | None = None) -> None:
        world.jump(self.hours)


async def _relabel(world: World, image_id: int, which: int) -> None:
    world.sandbox.images[image_id]["labels"] = {"env": LABELS[which // 7 % len(LABELS)]}


async def _protect(world: World, image_id: int, _which: int) -> None:
    world.sandbox.set_protection(image_id, delete=True)
    world.ours.discard(image_id)


async def _unprotect(world: World, image_id: int, _which: int) -> None:
    world.sandbox.set_protection(image_id, delete=False)
    world.ours.discard(image_id)  # whoever protects it next, it is not for us to


async def _delete(world: World, image_id: int, _which: int) -> None:
    world.sandbox.delete_image(image_id)


async def _use(world: World, image_id: int, _which: int) -> None:
    world.sandbox.add_server(image=image_id)


async def _describe(world: World, image_id: int, which: int) -> None:
    world.sandbox.images[image_id]["description"] = f"described {which}"


async def _garble(world: World, image_id: int, which: int) -> None:
    name = sorted(_UNREADABLE)[which // 7 % len(_UNREADABLE)]
    world.sandbox.images[image_id][name] = _UNREADABLE[name]


async def _exempt(world: World, image_id: int, which: int) -> None:
    until = world.now() + timedelta(hours=1 + which % 90)
    exemption = Exemption(
        image_id=image_id, until=until, reason="tried", approved_by="someone", flow_run_id=uuid4()
    )
    record = ExemptionRecord(project=NAME, exemptions=(exemption,))
    await within(WatchedRun(), save_exemptions(record))
    world.exempt[image_id] = max(until, world.exempt.get(image_id, until))


_CHANGES_OF_ONE: dict[str, Callable[[World, int, int], Awaitable[None]]] = {
    "relabel": _relabel,
    "protect": _protect,
    "unprotect": _unprotect,
    "delete": _delete,
    "add server": _use,
    "describe": _describe,
    "garble": _garble,
    "exempt": _exempt,
}
WHAT_OTHERS_DO = ("add", "add newer", "edit policy", "delete server", *_CHANGES_OF_ONE)


def add_snapshot(world: World, which: int) -> int:
    """Add a snapshot; of most, nothing is uncertain."""
    made: dict[str, Any] = {
        "created": rfc3339(world.time() - 3_600 * (which % 400)),
        "created_from": dict(_SERVERS[which % len(_SERVERS)]),
        "labels": {"env": LABELS[which // 3 % len(LABELS)]},
        "protection": {"delete": which % 4 > 0},
    }
    odd: dict[int, Json] = {
        0: {"status": "unavailable"},
        1: {"created_from": None},
        2: {"created": rfc3339(world.time() + 7_200)},
        3: {"deleted": rfc3339(world.time())},
    }
    return world.sandbox.add_snapshot(**(made | odd.get(which % 29, {})))


def add_candidates(world: World, number: int) -> list[int]:
    """Add the newest snapshots of the first server, protected, so that all before them are candidates."""
    return [
        world.sandbox.add_snapshot(
            created=rfc3339(world.time() - 60 + at),
            created_from=dict(_SERVERS[0]),
            labels={"env": "dev"},
            protection={"delete": True},
        )
        for at in range(number)
    ]


def make_readable(world: World) -> None:
    """Undo what makes snapshots unreadable."""
    for image in world.sandbox.images.values():
        image |= {name: _READABLE[name] for name in _UNREADABLE if image[name] == _UNREADABLE[name]}
