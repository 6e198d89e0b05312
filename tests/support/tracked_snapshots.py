"""Snapshots, requests and actions as tests of outcomes need them."""

from typing import Any

from hetzner_cloud.models import Action, Image
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult

ID, ACTION_ID = 100_000_001, 504_538_401_287_250


LOCKED = ErrorInfo(code="locked", message="another action runs", correlation_id="c0ffee")


def image(*, protected: bool = False, **fields: Any) -> Image:
    return Image.model_validate(
        {
            "id": ID,
            "type": "snapshot",
            "status": "available",
            "description": "db-1",
            "protection": {"delete": protected},
            **fields,
        }
    )


def action(status: str, **fields: Any) -> Action:
    return Action.model_validate({"id": ACTION_ID, "status": status, "progress": 40, **fields})


STARTED = ChangeResult(image_id=ID, action=action("running"))


REJECTED = ChangeResult(image_id=ID, error=LOCKED)
