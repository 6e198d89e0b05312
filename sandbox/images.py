"""Image records as the API sends them, made up but plausible, and the same for the same settings."""

from itertools import product
from typing import Any

from sandbox.clock import rfc3339
from sandbox.settings import SandboxSettings

ImageRecord = dict[str, Any]

_YEAR_SECONDS = 365 * 86_400
FIRST_SERVER_ID = 40_000_001
SERVER_NAMES = ("db-1", "web-1", "web-2", "mail-1", "db-2", "ci-1", "vpn-1")
_OCCASIONS = ("before upgrade", "nightly", "golden image", "before migration", "after hardening")
_LABELS: tuple[dict[str, str], ...] = (
    {"env": "prod", "role": "db"},
    {"env": "prod"},
    {"env": "staging", "keep": ""},
    {},
    {"env": "dev", "example.com/owner": "platform"},
)
_DISKS_GB = (40, 80, 160, 20)
_SYSTEMS = (
    *product(("ubuntu",), ("22.04", "24.04", "26.04")),
    *product(("debian",), ("11", "12", "13")),
    *product(("alma", "rocky"), ("8", "9", "10")),
    *product(("fedora",), ("42", "43")),
)
_APPS = ("docker-ce", "gitlab", "jitsi", "lamp", "nextcloud", "wireguard", "wordpress")


def make_image(image_id: int, created: float, /, **fields: object) -> ImageRecord:
    """Make a record with every documented field; the default is an available, unprotected snapshot.

    Raises:
        TypeError: A field is not among the documented ones.
    """
    image: ImageRecord = {
        "id": image_id,
        "type": "snapshot",
        "status": "available",
        "name": None,
        "description": "snapshot",
        "image_size": 2.3,
        "disk_size": 40,
        "created": rfc3339(created),
        "created_from": None,
        "bound_to": None,
        "os_flavor": "ubuntu",
        "os_version": None,
        "rapid_deploy": False,
        "protection": {"delete": False},
        "deprecation": None,
        "deleted": None,
        "labels": {},
        "architecture": "x86",
    }
    if unknown := fields.keys() - image.keys():
        raise TypeError(f"An image has no field {', '.join(sorted(unknown))}.")
    return image | fields


def seed_images(settings: SandboxSettings, now: float) -> list[ImageRecord]:
    """Make the images a sandbox starts with, oldest snapshot first; ids ascend without a gap."""
    made = [_snapshot(settings, number, now) for number in range(settings.snapshots)]
    made += [_backup(number, now) for number in range(settings.backups)]
    made += [_system_image(number, now) for number in range(settings.system_images)]
    made += [_app(number, now) for number in range(settings.apps)]
    for image_id, image in enumerate(made, settings.first_image_id):
        image["id"] = image_id
    return made


def _snapshot(settings: SandboxSettings, number: int, now: float) -> ImageRecord:
    created = now - _YEAR_SECONDS * (settings.snapshots - number) / (settings.snapshots + 1)
    creating = number >= settings.snapshots - settings.creating
    server = _server(number)
    disk_size = _DISKS_GB[number % len(_DISKS_GB)]
    occasion = _OCCASIONS[number % len(_OCCASIONS)]
    words = (settings.project, server["name"], occasion, rfc3339(created)[:10])
    return make_image(
        0,
        created,
        description=" ".join(word for word in words if word),
        status="creating" if creating else "available",
        image_size=None if creating else round(disk_size * (0.05 + number * 0.37 % 0.6), 2),
        disk_size=disk_size,
        created_from=None if number % 17 == 16 else server,
        protection={"delete": number < settings.protected},
        labels=dict(_LABELS[number % len(_LABELS)]),
        architecture="arm" if number % 9 == 8 else "x86",
    )


def _backup(number: int, now: float) -> ImageRecord:
    server, created = _server(number), now - (number + 1) * 86_400
    description = f"Backup {rfc3339(created)[:10]}"
    return make_image(
        0, created, type="backup", description=description, created_from=server, bound_to=server["id"]
    )


def _system_image(number: int, now: float) -> ImageRecord:
    (flavor, version), architecture = _SYSTEMS[number // 2 % len(_SYSTEMS)], ("x86", "arm")[number % 2]
    old = {"announced": rfc3339(now - 30 * 86_400), "unavailable_after": rfc3339(now + 60 * 86_400)}
    return make_image(
        0,
        now - _YEAR_SECONDS * 2,
        type="system",
        name=f"{flavor}-{version}",
        description=f"{flavor.capitalize()} {version}",
        image_size=None,
        disk_size=5,
        os_flavor=flavor,
        os_version=version,
        rapid_deploy=architecture == "x86",
        deprecation=old if number % 10 == 0 else None,
        architecture=architecture,
    )


def _app(number: int, now: float) -> ImageRecord:
    name = _APPS[number % len(_APPS)]
    return make_image(
        0, now - _YEAR_SECONDS, type="app", name=name, description=name, image_size=None, disk_size=5
    )


def _server(number: int) -> dict[str, Any]:
    which = number % len(SERVER_NAMES)
    return {"id": FIRST_SERVER_ID + which, "name": SERVER_NAMES[which]}
