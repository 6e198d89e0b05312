"""The sandbox's answers are of the shape that the published OpenAPI description documents."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from sandbox import Fault, Sandbox, serve
from sandbox.operations import OPERATIONS
from tests.support.openapi import DESCRIPTION, read_description

FIRST, UNKNOWN = 100_000_001, 7
CHANGE = f"/images/{FIRST}/actions/change_protection"

if not DESCRIPTION.exists():
    pytest.skip(f"the OpenAPI description is not at {DESCRIPTION}", allow_module_level=True)


@pytest.fixture(scope="module")
def description() -> Any:
    return read_description()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve(
        Sandbox(
            snapshots=30,
            protected=2,
            creating=2,
            backups=2,
            system_images=20,
            apps=2,
            servers=30,
            read_only_token="r",
        )
    ) as served:
        yield served


def faults_of(description: Any, answer: httpx.Response, method: str, template: str) -> list[str]:
    documented = description["paths"][template][method.lower()]["responses"]
    response = documented.get(str(answer.status_code)) or documented[f"{answer.status_code // 100}xx"]
    schema = response["content"]["application/json"]["schema"] | {"components": description["components"]}
    return [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(answer.json())
    ]


@pytest.mark.parametrize(
    ("method", "path", "template", "status"),
    [
        ("GET", "/images?per_page=50&include_deprecated=true", "/images", 200),
        ("GET", "/images?page=2&type=system&per_page=5", "/images", 200),
        ("GET", "/images?page=99", "/images", 200),
        ("GET", "/images?sort=size", "/images", 422),
        ("GET", f"/images/{FIRST}", "/images/{id}", 200),
        ("GET", f"/images/{FIRST + 29}", "/images/{id}", 200),
        ("GET", f"/images/{UNKNOWN}", "/images/{id}", 404),
        ("PUT", f"/images/{FIRST}", "/images/{id}", 200),
        ("DELETE", f"/images/{FIRST}", "/images/{id}", 423),
        ("DELETE", f"/images/{UNKNOWN}", "/images/{id}", 404),
        ("DELETE", f"/images/{FIRST + 40}", "/images/{id}", 422),
        ("POST", CHANGE, "/images/{id}/actions/change_protection", 201),
        ("POST", CHANGE.replace("1/", "30/"), "/images/{id}/actions/change_protection", 404),
        ("GET", f"/images/{FIRST}/actions", "/images/{id}/actions", 200),
        ("GET", f"/images/{UNKNOWN}/actions", "/images/{id}/actions", 404),
        ("GET", f"/images/{FIRST}/actions/{{action}}", "/images/{id}/actions/{action_id}", 200),
        ("GET", "/images/actions?id={action}", "/images/actions", 200),
        ("GET", "/images/actions?status=error&sort=finished", "/images/actions", 200),
        ("GET", "/images/actions/{action}", "/images/actions/{id}", 200),
        ("GET", "/actions?id={action}", "/actions", 200),
        ("GET", "/actions", "/actions", 410),
        ("GET", "/actions/{action}", "/actions/{id}", 200),
        ("GET", f"/actions/{UNKNOWN}", "/actions/{id}", 404),
        ("GET", "/servers?per_page=50", "/servers", 200),
        ("GET", "/servers?page=2&sort=name:desc&status=running&status=off", "/servers", 200),
        ("GET", "/servers?name=web-1", "/servers", 200),
        ("GET", "/servers?status=asleep", "/servers", 422),
        ("GET", "/pricing", "/pricing", 200),
    ],
)
def test_an_answer_is_of_the_documented_shape_when_it_comes(
    sandbox: Sandbox, description: Any, method: str, path: str, template: str, status: int
) -> None:
    action_id = sandbox.set_protection(FIRST, delete=True)
    body = {"PUT": {"description": "x"}, "POST": {"delete": True}}.get(method)
    answer = ask(sandbox, method, path.format(action=action_id), json=body)
    assert answer.status_code == status
    assert faults_of(description, answer, method, template) == []


@pytest.mark.parametrize("kind", ["action_error", "action_never_ends", "action_without_effect"])
def test_an_action_is_of_the_documented_shape_when_it_does_not_succeed(
    sandbox: Sandbox, description: Any, kind: Any
) -> None:
    sandbox.faults.add(Fault(kind=kind))
    answer = ask(sandbox, "POST", CHANGE, json={"delete": True})
    assert faults_of(description, answer, "POST", "/images/{id}/actions/change_protection") == []


@pytest.mark.parametrize(
    ("token", "content", "status"), [("wrong", b"{}", 401), ("r", b"{}", 401), ("sandbox", b"{", 400)]
)
def test_a_rejection_is_of_the_documented_shape_when_the_request_is_not_accepted(
    sandbox: Sandbox, description: Any, token: str, content: bytes, status: int
) -> None:
    answer = ask(sandbox, "POST", CHANGE, content=content, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    assert faults_of(description, answer, "POST", "/images/{id}/actions/change_protection") == []


def test_a_rejection_is_of_the_documented_shape_when_the_bucket_is_empty(
    sandbox: Sandbox, description: Any
) -> None:
    sandbox.bucket.remaining = 0
    answer = ask(sandbox, "GET", "/images")
    assert answer.status_code == 429
    assert faults_of(description, answer, "GET", "/images") == []


def test_a_deletion_has_no_body_and_is_documented_so(sandbox: Sandbox, description: Any) -> None:
    answer = ask(sandbox, "DELETE", f"/images/{FIRST + 2}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content" not in description["paths"]["/images/{id}"]["delete"]["responses"]["204"]


def test_every_documented_operation_is_served() -> None:
    documented = {
        (method.upper(), path.replace("{id}", "{}").replace("{action_id}", "{}"))
        for path, item in read_description()["paths"].items()
        for method in item.keys() & {"get", "put", "post", "delete"}
    }
    served = {
        (method, path.replace("{image_id:id}", "{}").replace("{action_id:id}", "{}"))
        for method, path, _ in OPERATIONS.values()
    }
    assert served == documented


def ask(sandbox: Sandbox, method: str, path: str, **request: Any) -> httpx.Response:
    request.setdefault("headers", {"Authorization": f"Bearer {sandbox.token}"})
    with httpx.Client(trust_env=False, verify=False) as client:  # plain HTTP
        return client.request(method, sandbox.endpoint + path, **request)
