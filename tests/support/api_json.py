"""What the API answers, as its documentation shows it, for the tests of the core package."""

import json
from typing import Any

from pydantic import SecretStr

from hetzner_cloud.json_body import JsonBody, parse_body
from hetzner_cloud.redaction import Redactor

TOKEN = "canary0f2b7d915c4e8a63aac1"
ENDPOINT = "https://api.hetzner.cloud/v1"
CORRELATION_ID = "6f1c09aa2e74b3d5"
MAX_ID = 2**53 - 1

Json = dict[str, Any]


def body_of(content: bytes | Json) -> JsonBody:
    """What is read of a body, given as bytes or as JSON."""
    received = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse_body(received, Redactor(SecretStr(TOKEN)))


def image_json(image_id: int = 4711, **more: Any) -> Json:
    """A snapshot as the API answers it."""
    return {
        "id": image_id,
        "type": "snapshot",
        "status": "available",
        "name": None,
        "description": "before the upgrade",
        "image_size": 2.3,
        "disk_size": 10,
        "created": "2016-01-30T23:55:00+00:00",
        "created_from": {"id": 1, "name": "web-1"},
        "bound_to": None,
        "os_flavor": "ubuntu",
        "os_version": "20.04",
        "rapid_deploy": False,
        "protection": {"delete": False},
        "deprecated": None,
        "deprecation": None,
        "deleted": None,
        "labels": {"env": "prod"},
        "architecture": "x86",
    } | more


def action_json(action_id: int = 13, *, image_id: int = 4711, **more: Any) -> Json:
    """A running action on an image as the API answers it."""
    return {
        "id": action_id,
        "command": "change_protection",
        "status": "running",
        "progress": 0,
        "started": "2016-01-30T23:50:00+00:00",
        "finished": None,
        "resources": [{"id": image_id, "type": "image"}],
        "error": None,
    } | more


def server_json(server_id: int = 42, **more: Any) -> Json:
    """A server as the API answers it, with the fields that matter here and some that do not."""
    return {
        "id": server_id,
        "name": "web-1",
        "status": "running",
        "created": "2016-01-30T23:50:00+00:00",
        "image": image_json(4711),
        "labels": {"env": "prod"},
        "locked": False,
    } | more


def error_json(code: str, message: str = "what went wrong", details: Any = None) -> Json:
    """The body of an error."""
    return {"error": {"code": code, "message": message, "details": details}}


def meta_json(page: int, last_page: int, **more: Any) -> Json:
    """What a page of a list says about its place in it."""
    pagination = {
        "page": page,
        "per_page": 50,
        "previous_page": page - 1 or None,
        "next_page": page + 1 if page < last_page else None,
        "last_page": last_page,
        "total_entries": None,
    }
    return {"pagination": pagination | more}
