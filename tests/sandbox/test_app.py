"""The sandbox's routes: what is not there, methods that a path doesn't have, requests that are none."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox import Fault, Sandbox
from tests.support.sandbox_client import FIRST, asked, error_of

ONE = f"/images/{FIRST}"
HUGE = "9" * 5_000  # more digits than Python converts
AUTHORIZED = "Authorization: Bearer sandbox\r\nHost: sandbox\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, httpx.Client]]:
    """A sandbox for requests that change nothing, and its client."""
    with asked(snapshots=2) as both:
        yield both


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/images", "GET, HEAD"),
        (ONE, "DELETE, GET, HEAD, PUT"),
        (f"{ONE}/actions", "GET, HEAD"),
        (f"{ONE}/actions/change_protection", "POST"),
        (f"{ONE}/actions/1", "GET, HEAD"),
        ("/images/actions", "GET, HEAD"),
        ("/images/actions/1", "GET, HEAD"),
        ("/actions", "GET, HEAD"),
        ("/actions/1", "GET, HEAD"),
    ],
)
def test_the_allowed_methods_are_named_when_a_path_does_not_have_the_method(
    served: tuple[Sandbox, httpx.Client], path: str, allowed: str
) -> None:
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}
    for method in sorted(methods - set(allowed.split(", "))):
        answer = served[1].request(method, path)
        assert answer.headers["Allow"] == allowed
        if method != "HEAD":
            assert error_of(answer) == (405, "method_not_allowed")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/nothing",
            "/images/",
            "//images",
            "/../images",
            "/images/ubuntu",
            "/images/-1",
            "/images/1.5",
        ),
        *(f"/images/{HUGE}", f"/actions/{HUGE}", f"{ONE}/actions/{HUGE}", f"/images/{HUGE}/actions"),
        *(
            "/images/%00",
            "/images/%ff",
            "/images/%zz",
            "/images/%F0%9F%98%80",
            "/images/%D9%A1",
            "/images/%C2%B2",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_nothing_is_found_and_nothing_allowed_when_the_path_is_unknown(
    served: tuple[Sandbox, httpx.Client], method: str, path: str
) -> None:
    head = _exchange(served[0], f"{method} /v1{path} HTTP/1.1\r\n{AUTHORIZED}\r\n")
    assert head.startswith("HTTP/1.1 404 ")
    assert "\r\nallow:" not in head


@pytest.mark.parametrize("path", ["/images", ONE, f"{ONE}/actions", "/images/7"])
def test_a_head_is_a_get_without_a_body(served: tuple[Sandbox, httpx.Client], path: str) -> None:
    get, head = (served[1].request(method, path) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("Content-Length", "Content-Type", "RateLimit-Limit"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "request_text",
    [
        f"POST /v1{ONE}/actions/change_protection HTTP/1.1\r\n{AUTHORIZED}Content-Length: -5\r\n\r\n{{}}",
        f"POST /v1{ONE}/actions/change_protection HTTP/1.1\r\n{AUTHORIZED}Content-Length: five\r\n\r\n{{}}",
        f"PUT /v1{ONE} HTTP/1.1\r\n{AUTHORIZED}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
        f"PUT /v1{ONE} HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n",
        f"PUT /v1{ONE} HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: gzip\r\n\r\n{{}}",
        "GET /v1/images HTTP/1.1\r\nAuthorization: Bearer sandbox\r\n\r\n",
        f"GET /v1/images?type=\xe9 HTTP/1.1\r\n{AUTHORIZED}\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    ],
    ids=[
        *("negative length", "length in words", "two lengths", "bad chunk", "unknown encoding"),
        *("no host", "raw bytes", "TLS"),
    ],
)
def test_a_request_is_bad_when_it_is_no_http(served: tuple[Sandbox, httpx.Client], request_text: str) -> None:
    assert _exchange(served[0], request_text).startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "query", ["id=%C2%B2", f"id={HUGE}", "id=-1", "id=%00", "id=%ED%A0%80"], ids=lambda query: query[:12]
)
@pytest.mark.parametrize("path", ["/actions", "/images/actions"])
def test_an_id_is_rejected_as_always_when_a_fault_is_active(path: str, query: str) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", operation="poll", image_ids=frozenset({FIRST})))
        assert error_of(client.get(f"{path}?{query}")) == (422, "invalid_input")


def _exchange(sandbox: Sandbox, request_text: str) -> str:
    """Send what no client would, and return the head of the response."""
    address = urlsplit(sandbox.endpoint)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request_text.encode("latin-1"))
        received = b""
        while b"\r\n\r\n" not in received and (chunk := connection.recv(65_536)):
            received += chunk
    return received.decode("latin-1").partition("\r\n\r\n")[0].replace("\r\nAllow:", "\r\nallow:")
