"""Server records as the API sends them, as far as images depend on them; the rest is made up."""

from collections.abc import Mapping
from typing import Any

from sandbox.clock import rfc3339
from sandbox.images import FIRST_SERVER_ID, SERVER_NAMES, ImageRecord
from sandbox.prices import SERVER_PRICES
from sandbox.settings import SandboxSettings

ServerRecord = dict[str, Any]

_DAY_SECONDS = 86_400
_LOCATION = {
    "id": 1,
    "name": "fsn1",
    "description": "Falkenstein DC Park 1",
    "country": "DE",
    "city": "Falkenstein",
    "latitude": 50.47612,
    "longitude": 12.370071,
    "network_zone": "eu-central",
}
_TYPE = {
    "id": 22,
    "name": "cx22",
    "description": "CX22",
    "cores": 2,
    "memory": 4.0,
    "disk": 40,
    "prices": SERVER_PRICES,
    "storage_type": "local",
    "cpu_type": "shared",
    "architecture": "x86",
    "deprecated": False,
    "locations": [{"id": 1, "name": "fsn1", "deprecation": None}],
}
_DATACENTER = {
    "id": 4,
    "name": "fsn1-dc14",
    "description": "Falkenstein 1 virtual DC 14",
    "location": _LOCATION,
    "server_types": {"available": [22], "available_for_migration": [22], "supported": [22]},
}


def make_server(server_id: int, created: float, /, **fields: object) -> ServerRecord:
    """Make a record with every documented field; `image` is the id of its image, or None.

    Raises:
        TypeError: A field is not among the documented ones.
    """
    server: ServerRecord = {
        "id": server_id,
        "name": f"server-{server_id}",
        "status": "running",
        "created": rfc3339(created),
        "public_net": {"floating_ips": [], "firewalls": [], "ipv4": None, "ipv6": None},
        "private_net": [],
        "server_type": _TYPE,
        "location": _LOCATION,
        "datacenter": _DATACENTER,
        "image": None,
        "iso": None,
        "rescue_enabled": False,
        "locked": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": 21_990_232_555_520,
        "primary_disk_size": 40,
        "protection": {"delete": False, "rebuild": False},
        "labels": {},
        "volumes": [],
        "load_balancers": [],
        "placement_group": None,
    }
    if unknown := fields.keys() - server.keys():
        raise TypeError(f"A server has no field {', '.join(sorted(unknown))}.")
    return server | fields


def seed_servers(
    settings: SandboxSettings, images: Mapping[int, ImageRecord], now: float
) -> list[ServerRecord]:
    """Make the servers a sandbox starts with; snapshots are `created_from` the first of them.

    In turn they are made from a snapshot, from a system image, and from an image that was deleted.
    """
    of_type = {
        kind: [image["id"] for image in images.values() if image["type"] == kind]
        for kind in ("snapshot", "system")
    }
    return [
        make_server(
            FIRST_SERVER_ID + number,
            now - (settings.servers - number) * _DAY_SECONDS,
            name=_name(number),
            image=_image_id(of_type, number),
        )
        for number in range(settings.servers)
    ]


def show_server(server: ServerRecord, images: Mapping[int, ImageRecord]) -> ServerRecord:
    """Show a record as the API does: with its whole image, or none if that is deleted.

    An image that a test has made anything but an id is shown as it is.
    """
    image = server.get("image")
    return server | {"image": images.get(image)} if type(image) is int else server


def _name(number: int) -> str:
    return SERVER_NAMES[number] if number < len(SERVER_NAMES) else f"server-{number + 1}"


def _image_id(of_type: Mapping[str, list[int]], number: int) -> int | None:
    ids = of_type["snapshot"] if number % 3 == 0 else of_type["system"] if number % 3 == 1 else []
    return ids[number // 3 % len(ids)] if ids else None
