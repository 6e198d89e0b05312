"""A project that prune runs meet below the flow engine, in one process: watched and repeatable.

Requests reach the sandbox's application without a socket, and time passes only when something sleeps. At any
request of a run another user, another run, the clock or the end of the process may come in between. What a
run may have known is taken from what it sent and received, never from the code under test.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import httpx
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from records.prune_locks import lock_name
from sandbox import ManualClock, Sandbox
from sandbox.app import create_app
from snapshot_protection.policy import NamedPolicy, Policy
from tests.support.plain_tasks import tasks_without_the_engine
from tests.support.prefect_memory import GET_CLIENT, PrefectMemory
from tests.support.prune_reference import POLICY, Json, Listed, Observed, used_by
from tests.support.watched_runs import Change, Look, ProcessGoneError, WatchedRun, current_run

NAME = "prod"


class ConnectionDroppedError(Exception):
    """The sandbox closed the connection."""


class World:
    """One project, its sandbox, and what Prefect has stored.

    Attributes:
        skew: How far this machine's clock is behind the servers'.
        policy: As it is saved.
        exempt: Until when which snapshots were exempt.
        observations: What was stored of candidates, the oldest first.
        ours: The snapshots that a run unprotected, and no other user has changed the protection of since.
        wrong: What must not have happened.
        on_change: Called before a run's request to unprotect or delete a snapshot is carried out.
    """

    def __init__(self, **settings: Any) -> None:
        self.time = ManualClock()
        self.skew = timedelta(0)
        self.sandbox = Sandbox(
            clock=self.time, token="watched-0123456789", snapshots=0, rate_limit=3_600_000, **settings
        )
        self.sandbox.endpoint = "http://127.0.0.1:9/v1"
        token = SecretStr(self.sandbox.token)
        credentials = HetznerCloudCredentials(token=token, endpoint=self.sandbox.endpoint)
        self.project = Project(NAME, credentials)
        self.memory = PrefectMemory(self._server_time, self._before_prefect)
        self.policy: Policy = POLICY
        self.exempt: dict[int, datetime] = {}
        self.observations: list[Observed] = []
        self.ours: set[int] = set()
        self.wrong: list[str] = []
        self.on_change: Callable[[WatchedRun, int, Change], None] = lambda _run, _image_id, _what: None
        self._app = create_app(self.sandbox)

    def now(self) -> datetime:
        """Return the time, as this machine's clock shows it."""
        return self._server_time() + self.skew

    def jump(self, hours: float) -> None:
        """Let time pass, or put this machine's clock back: that of the servers never goes back."""
        self.time.advance(max(0.0, 3_600 * hours))
        self.skew += min(timedelta(0), timedelta(hours=hours))

    def _server_time(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def exists(self, image_id: int) -> bool:
        """Return whether a snapshot is there, and not only remembered as deleted."""
        image = self.sandbox.images.get(image_id)
        return image is not None and image["deleted"] is None

    @property
    def unprotected_by_us(self) -> set[int]:
        """The snapshots that exist, that a run has unprotected, and that no one has exempted."""
        images = self.sandbox.images
        unprotected = {image_id for image_id, one in images.items() if not one["protection"]["delete"]}
        return (self.ours & unprotected) - self.exempt.keys()

    @property
    def stuck(self) -> set[int]:
        """The snapshots on which an action is running: after a while, one that never ends."""
        running = (one for one in self.sandbox.actions if one["status"] == "running")
        return {resource["id"] for one in running for resource in one["resources"]}

    @contextmanager
    def entered(self) -> Iterator["World"]:
        """Put it where the engine, the network and the time are."""

        async def handle(_transport: object, request: httpx.Request) -> httpx.Response:
            return await self.handle(request)

        with ExitStack() as stack:
            stack.enter_context(tasks_without_the_engine(self.time))
            for name in GET_CLIENT:
                stack.enter_context(patch(name, self.memory.get_client))
            stack.enter_context(patch("flows._requirements.load_policy", self._load_policy))
            stack.enter_context(patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle))
            yield self

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the sandbox, if the process still exists, after what comes in between."""
        run = current_run()
        _require_process(run)
        self._see_what_prefect_told(run)
        run.requests += 1
        if happening := run.at.pop(run.requests, None):
            await happening(self, run)
        _require_process(run)
        response = await self._carry_out(run, request)
        if happening := run.at.pop(-run.requests, None):
            await happening(self, run)
        _require_process(run)
        self._receive(run, request, await _read_json(response))
        return response

    def _see_what_prefect_told(self, run: WatchedRun) -> None:
        """Before each request: what a run reads of Prefect it has read since its last one."""
        state = self.memory.states.get(run.id)
        is_running = state is None or state.is_running()
        run.was_allowed = is_running and self.memory.holds(lock_name(NAME), run.id)
        self._complete_lists(run)

    def _complete_lists(self, run: WatchedRun) -> None:
        """Add what a run reads after its two lists and before its next request."""
        if run.listed and run.listed_at == run.requests:
            run.listed = self._listed(run.listed.images, run.listed.in_use, run.listed.began)

    def _listed(self, images: Mapping[int, Json], in_use: frozenset[int], began: datetime) -> Listed:
        return Listed(images, in_use, began, self.now(), dict(self.exempt), self.policy)

    async def _carry_out(self, run: WatchedRun, request: httpx.Request) -> httpx.Response:
        image_id, change = _image_id(request), _change(request)
        if request.method != "GET":
            run.writes.append(f"{request.method} {request.url.path}")
        existed = image_id in self.sandbox.images
        if change:
            self.on_change(run, image_id, change)
            run.changed[image_id] = run.requests
            self.ours.add(image_id)
        try:
            return await httpx.ASGITransport(self._with_state).handle_async_request(request)
        except ConnectionDroppedError:
            raise httpx.ReadError("dropped", request=request) from None
        finally:
            if change == "deleted" and existed and image_id not in self.sandbox.images:
                run.deleted.add(image_id)
            if len(self.unprotected_by_us) > 1:
                self.wrong.append(f"unprotected at once: {self.unprotected_by_us} at {run.requests}")

    def _receive(self, run: WatchedRun, request: httpx.Request, found: Json) -> None:
        """Note what a run learns from a response."""
        match request.method, *request.url.path.split("/")[2:]:
            case "GET", "images" if isinstance(found.get("images"), list):
                run.listing, run.began = {one["id"]: one for one in found["images"]}, self.now()
            case "GET", "servers" if isinstance(found.get("servers"), list):
                run.listed = self._listed(run.listing, used_by(found["servers"]), run.began)
                run.listed_at = run.requests
            case "POST", "images", image_id, *_ if "action" in found and _change(request) is None:
                run.protecting[int(image_id)] = run.requests
            case "GET", "images", image_id:
                run.looks[int(image_id)] = Look(found.get("image"), run.requests)
            case _:
                pass

    async def _load_policy(self, name: str) -> NamedPolicy:
        self._before_prefect("read_block_document", name)
        return NamedPolicy(name, self.policy)

    def _before_prefect(self, request: str, key: str) -> None:
        run = current_run()
        _require_process(run)
        if key.startswith("snapshot-quarantine-") and request == "read_latest_artifacts":
            run.known = len(self.observations)
        if key.startswith("snapshot-quarantine-") and request == "create_artifact":
            self._complete_lists(run)
            assert run.listed
            candidates = frozenset(run.listed.candidates(max(self.now(), run.listed.began)))
            run.own = Observed(run.listed.began, self.now(), candidates)
            self.observations.append(run.own)
            run.observed = run.listed

    async def _with_state(self, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["transport"] = _Connection()
        await self._app(scope, receive, send)


class _Connection:
    """What the sandbox closes to send nothing more."""

    def get_extra_info(self, _name: str) -> "_Connection":
        return self

    def setsockopt(self, *_option: object) -> None:
        """Do nothing: there is no socket."""

    def close(self) -> None:
        raise ConnectionDroppedError


def _require_process(run: WatchedRun) -> None:
    if run.is_gone:
        raise ProcessGoneError


def _image_id(request: httpx.Request) -> int:
    parts = request.url.path.split("/")
    return int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 0


def _change(request: httpx.Request) -> Change | None:
    """Return what a request is to do to a snapshot; nothing, if it protects it."""
    if request.method == "DELETE":
        return "deleted"
    is_change = request.method == "POST" and request.url.path.endswith("/actions/change_protection")
    return "unprotected" if is_change and json.loads(request.content)["delete"] is False else None


async def _read_json(response: httpx.Response) -> Json:
    """Read what a run can read; an error, or what is no JSON object, is nothing."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    content = b"".join([part async for part in response.stream])
    try:
        found = httpx.Response(response.status_code, headers=response.headers, content=content).json()
    except (ValueError, httpx.DecodingError):
        return {}
    return found if response.is_success and isinstance(found, dict) else {}
