"""The lower bound: asyncio and httpx, nothing else. No retries, no report, one reading of a moving list."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.contenders.job import Job, run_job

_IN_FLIGHT = 10
_PER_PAGE = 50
_IDS = 25
_POLL_SECONDS = 0.5


class _Project:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._semaphore = asyncio.Semaphore(_IN_FLIGHT)

    async def snapshots(self) -> list[dict[str, Any]]:
        first = await self._page(1)
        last = first["meta"]["pagination"]["last_page"]
        pages = [first, *await asyncio.gather(*(self._page(number) for number in range(2, last + 1)))]
        return [image for page in pages for image in page["images"]]

    async def protect(self, image_id: int) -> int:
        body = await self._request(
            "POST", f"/images/{image_id}/actions/change_protection", json={"delete": True}
        )
        return int(body["action"]["id"])

    async def wait(self, running: Sequence[int]) -> None:
        while running:
            await asyncio.sleep(_POLL_SECONDS)
            batches = [running[at : at + _IDS] for at in range(0, len(running), _IDS)]
            responses = await asyncio.gather(
                *(self._request("GET", "/actions", params={"id": batch}) for batch in batches)
            )
            actions = [action for body in responses for action in body["actions"]]
            running = [action["id"] for action in actions if action["status"] == "running"]

    async def _page(self, number: int) -> dict[str, Any]:
        query = {"type": "snapshot", "page": number, "per_page": _PER_PAGE}
        return await self._request("GET", "/images", params=query)

    async def _request(self, method: str, path: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's
        async with self._semaphore:
            response = await self._http.request(method, path, **request)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body


async def _protect(http: httpx.AsyncClient) -> None:
    project = _Project(http)
    todo = [image["id"] for image in await project.snapshots() if not image["protection"]["delete"]]
    await project.wait(await asyncio.gather(*map(project.protect, todo)))
    unprotected = [image for image in await project.snapshots() if not image["protection"]["delete"]]
    if unprotected:
        raise SystemExit(f"{len(unprotected)} snapshots are not protected")


async def _audit(http: httpx.AsyncClient) -> None:
    snapshots = await _Project(http).snapshots()
    print(sum(image["protection"]["delete"] for image in snapshots), "of", len(snapshots), "are protected")


async def _for_each_project(job: Job) -> None:
    work = {"protect": _protect, "audit": _audit}[job.kind]
    limits = httpx.Limits(max_connections=_IN_FLIGHT)
    async with asyncio.TaskGroup() as group:
        for token in job.projects:
            http = httpx.AsyncClient(
                base_url=job.endpoint,
                headers={"Authorization": f"Bearer {token}"},
                limits=limits,
                timeout=30,
                trust_env=False,
            )
            group.create_task(work(http))


if __name__ == "__main__":
    run_job(dict.fromkeys(["protect", "audit"], lambda job: asyncio.run(_for_each_project(job))))
