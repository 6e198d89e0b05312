"""What the tests of the sandbox share: one that is served, with a client that asks it over real HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from sandbox import ManualClock, Sandbox, serve

Ask = Callable[..., httpx.Response]
FIRST = 100_000_001


@contextmanager
def asked(*, clock: ManualClock | None = None, **settings: object) -> Iterator[tuple[Sandbox, httpx.Client]]:
    sandbox = Sandbox(clock=clock or ManualClock(), **settings)
    with (
        serve(sandbox),
        httpx.Client(
            base_url=sandbox.endpoint,
            headers={"Authorization": f"Bearer {sandbox.token}"},
            trust_env=False,
            verify=False,  # reading the certificates, for plain HTTP, would take longer than all else
        ) as client,
    ):
        yield sandbox, client


def ids_of(answer: httpx.Response, name: str = "images") -> list[int]:
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()[name]]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"]


def change(client: httpx.Client, image_id: int, *, delete: bool = True) -> httpx.Response:
    return client.post(f"/images/{image_id}/actions/change_protection", json={"delete": delete})


def protected(sandbox: Sandbox, image_id: int = FIRST) -> bool:
    value = sandbox.images[image_id]["protection"]["delete"]
    assert isinstance(value, bool)
    return value


def start(client: httpx.Client, count: int, first: int = FIRST) -> list[int]:
    return [change(client, first + number).json()["action"]["id"] for number in range(count)]
