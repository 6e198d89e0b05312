"""A project that prune runs meet below the flow engine, in one process: watched and repeatable.

Requests reach the sandbox's application without a socket, and time passes only when something sleeps. At any
request of a run another user, another run, the clock or the end of the process may come in between.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID, uuid4

import httpx
from prefect import Task
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from hetzner_cloud.action_waiter import wait_for_actions
from hetzner_cloud.retry import RetryPolicy
from records.prune_locks import lock_name
from sandbox import ManualClock, Sandbox
from sandbox.app import create_app
from sandbox.operations import OPERATIONS, Operation, OperationResponse
from sandbox.request import OperationRequest
from snapshot_protection.policy import NamedPolicy
from tests.support.prefect_memory import GET_CLIENT, PrefectMemory
from tests.support.prune_reference import POLICY, Json, Listed, Observed, used_by

NAME = "prod"
_TASKS = {
    "flows._observe_project": ("list_images", "list_prices", "list_servers"),
    "flows._prune_snapshot": ("change_image_protection", "delete_image", "get_image"),
    "flows._protect_again": ("change_image_protection", "get_image", "list_actions_for_image"),
    "flows._protect_project": ("list_images", "get_unlisted_images"),
    "flows._changes": ("protect_images",),
}
_WAITS = ("flows._prune_snapshot", "flows._protect_again", "flows._changes")
Happening = Callable[["World", "WatchedRun"], Any]


class ProcessGoneError(Exception):
    """The process was killed: nothing that it does from here on reaches anything."""


class ConnectionDroppedError(Exception):
    """The sandbox closed the connection."""


@dataclass
class WatchedRun:
    """One run: what comes in between, and what the sandbox saw of it.

    Attributes:
        at: What happens before the nth request of the run.
        approved: The snapshots of the plan that was approved last, as the API returned them before.
        listed: The last lists that the API returned to it.
        observed: Those on which the report is based.
        known: How many observations were stored when it loaded them.
        own: Its own observation.
        latest: The latest time that it may have taken for the time.
        task: What a cancellation cancels.
        writes, changed: The requests that are to change something; the snapshots that they concern.
        deleted: The snapshots that its requests have deleted.
        seen: As the API last returned each snapshot on its own, and when: see `World.turn`.
        was_allowed: Whether it held the lock, and Prefect called it Running, when it last read the servers.
    """

    days: float = 0
    id: UUID = field(default_factory=uuid4)
    at: dict[int, Happening] = field(default_factory=dict)
    is_gone: bool = False
    requests: int = 0
    approved: dict[int, Json] = field(default_factory=dict)
    listing: dict[int, Json] = field(default_factory=dict)
    began: datetime | None = None
    listed: Listed | None = None
    observed: Listed | None = None
    known: int = 0
    own: Observed | None = None
    latest: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    task: "asyncio.Task[Any] | None" = None
    writes: list[str] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    seen: dict[int, tuple[Json | None, int]] = field(default_factory=dict)
    was_allowed: bool = True


_RUN: ContextVar[WatchedRun] = ContextVar("run")


def current_run() -> WatchedRun:
    """Return the run in progress."""
    return _RUN.get()


class World:
    """One project, its sandbox, and what Prefect has stored."""

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
        self.policy = NamedPolicy("default", POLICY)
        self.memory = PrefectMemory(self._server_time, self._before_prefect)
        self.exempt: dict[int, datetime] = {}
        self.observations: list[Observed] = []
        self.ours: set[int] = set()
        self.late: set[int] = set()
        self.touched: dict[int, int] = {}
        self.turn = 0
        self.wrong: list[str] = []
        self.on_change: Callable[[WatchedRun, int, str], None] = lambda _run, _image_id, _what: None

    def now(self) -> datetime:
        """Return the time, as this machine's clock shows it."""
        return self._server_time() + self.skew

    def jump(self, hours: float) -> None:
        """Let time pass, or put this machine's clock back: that of the servers never goes back."""
        self.time.advance(max(0.0, 3_600 * hours))
        self.skew += min(timedelta(0), timedelta(hours=hours))

    def _server_time(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    @property
    def unprotected_by_us(self) -> set[int]:
        """The snapshots that exist, and that a run has unprotected."""
        return {
            image_id
            for image_id, image in self.sandbox.images.items()
            if image_id in self.ours and not image["protection"]["delete"]
        }

    def touch(self, image_id: int) -> None:
        """Note that another user has changed a snapshot."""
        self.turn += 1
        self.touched[image_id] = self.turn
        self.ours.discard(image_id)

    @contextmanager
    def entered(self) -> Iterator["World"]:
        """Put it where the engine, the network and the time are."""
        with patch("sandbox.app.OPERATIONS", self._watched()):
            self._app = create_app(self.sandbox)
        patches: list[Any] = [patch(name, self.memory.get_client) for name in GET_CLIENT]
        for module, names in _TASKS.items():
            patches += [patch(f"{module}.{name}", _plain(module, name)) for name in names]
        patches += [patch(f"{module}.wait_for_image_actions", self._wait) for module in _WAITS]
        patches.append(patch("flows._pruning_in_progress.sleep", self._sleep))
        patches.append(patch("flows._requirements.load_policy", self._load_policy))
        patches.append(patch("tasks.images.RETRY_POLICY", RetryPolicy(base_seconds=1e-6)))
        patches.append(patch("tasks.protection.RETRY_POLICY", RetryPolicy(base_seconds=1e-6)))
        world = self

        async def handle(_transport: object, request: httpx.Request) -> httpx.Response:
            return await world.handle(request)

        patches.append(patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle))
        for one in patches:
            one.start()
        try:
            yield self
        finally:
            for one in reversed(patches):
                one.stop()

    async def within(self, run: WatchedRun, work: Any) -> Any:
        """Do some work as a run; it may come in between another one."""
        token = _RUN.set(run)
        try:
            return await work
        finally:
            _RUN.reset(token)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the sandbox, if the process still exists, after what comes in between."""
        run = _RUN.get()
        self._require(run)
        run.requests += 1
        image_id = _image_id(request.url.path)
        if happening := run.at.pop(run.requests, None):
            await happening(self, run)
        self._require(run)
        run.latest = max(run.latest, self.now())
        if request.method != "GET":
            run.writes.append(f"{request.method} {request.url.path}")
            if b"true" not in request.content:  # what protects it is no deletion
                run.changed.add(image_id)
        try:
            response = await httpx.ASGITransport(self._with_state).handle_async_request(request)
        except ConnectionDroppedError:
            raise httpx.ReadError("dropped", request=request) from None
        finally:
            self._settle(run)
        if happening := run.at.pop(-run.requests, None):  # the response is on its way
            await happening(self, run)
        self._require(run)
        return response

    def _settle(self, run: WatchedRun) -> None:
        self.turn += 1
        if len(self.unprotected_by_us - self.exempt.keys()) > 1:
            self.wrong.append(f"unprotected at once: {sorted(self.unprotected_by_us)} at {run.requests}")

    def _require(self, run: WatchedRun) -> None:
        if run.is_gone:
            raise ProcessGoneError

    def _before_prefect(self, request: str, key: str) -> None:
        run = _RUN.get()
        self._require(run)
        if key.startswith("snapshot-quarantine-") and request == "read_latest_artifacts":
            run.known = len(self.observations)
        if key.startswith("snapshot-quarantine-") and request == "create_artifact":
            assert run.listed
            candidates = frozenset(run.listed.candidates(max(self.now(), run.listed.began)))
            run.own = Observed(run.listed.began, self.now(), candidates)
            self.observations.append(run.own)
            run.observed = run.listed

    async def _load_policy(self, name: str) -> NamedPolicy:
        self._before_prefect("read_block_document", name)
        return self.policy

    def _may_change(self, run: WatchedRun) -> bool:
        state = self.memory.states.get(run.id)
        is_running = state is None or state.is_running()
        return is_running and self.memory.holds(lock_name(NAME), run.id)

    async def _with_state(self, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["transport"] = _Connection()
        await self._app(scope, receive, send)

    async def _sleep(self, seconds: float) -> None:
        self.time.advance(seconds)
        await asyncio.sleep(0)  # lets another run go on

    async def _wait(self, credentials: HetznerCloudCredentials, actions: Any, **given: Any) -> Any:
        actions = getattr(actions, "value", actions)
        async with credentials.get_client() as client:
            return await wait_for_actions(
                client, actions, timeout_seconds=given["timeout_seconds"], clock=self.time, sleep=self._sleep
            )

    def _watched(self) -> dict[str, tuple[str, str, Operation]]:
        watched = {
            "list_images": self._see_images,
            "list_servers": self._see_servers,
            "get_image": self._see_image,
            "change_image_protection": self._see_change,
            "delete_image": self._see_deletion,
        }
        return {
            name: (method, path, watched[name](operation) if name in watched else operation)
            for name, (method, path, operation) in OPERATIONS.items()
        }

    def _see_images(self, operation: Operation) -> Operation:
        def see(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
            status, body = operation(sandbox, call)
            run = _RUN.get()
            run.listing = {one["id"]: deepcopy(one) for one in (body or {})["images"]}
            run.began = self.now()
            return status, body

        return see

    def _see_servers(self, operation: Operation) -> Operation:
        def see(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
            status, body = operation(sandbox, call)
            run = _RUN.get()
            assert run.began
            used = used_by(deepcopy((body or {})["servers"]))
            run.listed = Listed(run.listing, used, dict(self.exempt), run.began)
            run.was_allowed = self._may_change(run)
            return status, body

        return see

    def _see_image(self, operation: Operation) -> Operation:
        def see(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
            image = deepcopy(sandbox.images.get(call.image_id))
            run = _RUN.get()
            run.seen[call.image_id] = image, self.turn
            run.was_allowed = self._may_change(run)
            return operation(sandbox, call)

        return see

    def _see_change(self, operation: Operation) -> Operation:
        def see(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
            removes = call.json_object(delete=bool).get("delete") is False
            if removes:
                self.on_change(_RUN.get(), call.image_id, "unprotected")
            result = operation(sandbox, call)
            if removes:
                self.ours.add(call.image_id)
            return result

        return see

    def _see_deletion(self, operation: Operation) -> Operation:
        def see(sandbox: Sandbox, call: OperationRequest) -> OperationResponse:
            run, existed = _RUN.get(), call.image_id in sandbox.images
            self.on_change(run, call.image_id, "deleted")
            try:
                return operation(sandbox, call)
            finally:
                if existed and call.image_id not in sandbox.images:
                    run.deleted.add(call.image_id)

        return see


class _Connection:
    """What the sandbox closes to send nothing more."""

    def get_extra_info(self, _name: str) -> "_Connection":
        return self

    def setsockopt(self, *_option: object) -> None:
        """Do nothing: there is no socket."""

    def close(self) -> None:
        raise ConnectionDroppedError


def _plain(module: str, name: str) -> Any:
    """Return a task that runs without the engine, and tries again as often as with it."""
    found = getattr(__import__(module, fromlist=[name]), name)
    return _PlainTask(cast("Task[..., Any]", found))


class _PlainTask:
    def __init__(self, task: Task[..., Any]) -> None:
        self._fn, self._policy = task.fn, RetryPolicy(retries=task.retries, base_seconds=1e-6)

    def with_options(self, **_options: object) -> "_PlainTask":
        return self

    async def __call__(self, *args: Any, wait_for: object = None, **named: Any) -> Any:
        del wait_for
        given = [getattr(one, "value", one) for one in args]
        return await self._policy.call(lambda: self._fn(*given, **named))


def _image_id(path: str) -> int:
    parts = path.split("/")
    return int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 0
