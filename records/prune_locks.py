"""The lock of a project: while a run prunes in it, no other run does.

The lock is a Prefect variable. Of one name there is only one, so of two runs that create it at the same
time one succeeds. It is renewed and deleted by its id: a run that was taken for gone finds that out before
its next change. Its renewals, and not Prefect's heartbeats, tell that a run is alive: those travel by
WebSocket, and a run from a shell sends none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import Variable
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.sanitize import printable

RENEW_SECONDS = 30.0
GONE_AFTER = timedelta(minutes=5)  # without a renewal
FINISHED_GONE_AFTER = timedelta(seconds=90)  # the same, of a run that Prefect no longer calls unfinished
_MAX_TRIES = 5


class AnotherRunPrunesError(HetznerCloudError):
    """Another run prunes in this project; nothing was changed."""


class LockLostError(HetznerCloudError):
    """The lock is another run's by now, or was deleted; nothing more may be changed."""


class Holder(BaseModel):
    """Who holds a lock.

    Attributes:
        attempt: Of the flow run: one that starts again from the top is another one.
        renewals: How often it was renewed; Prefect records when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow_run_id: UUID
    flow_run_name: str
    attempt: UUID = Field(default_factory=uuid4)
    renewals: int = 0

    def __str__(self) -> str:
        """Name the flow run."""
        return f"flow run '{printable(self.flow_run_name)}' ({self.flow_run_id})"


@dataclass
class PruneLock:
    """A lock that this run holds.

    Attributes:
        renewed: When it was renewed last, by this machine's clock, which goes on while the process is frozen.
    """

    variable_id: UUID
    name: str
    holder: Holder
    renewed: float = field(default_factory=time)

    async def renew(self) -> None:
        """Show that this run is alive, and that the lock is still its own.

        Raises:
            LockLostError: It is not.
        """
        self.holder = self.holder.model_copy(update={"renewals": self.holder.renewals + 1})
        async with get_client() as client:
            response = await _request(client, "PATCH", self.variable_id, {"value": _value(self.holder)})
        if response is None:
            raise self._lost()
        self.renewed = time()

    async def require(self) -> None:
        """See that the lock is still this run's own; only one that was not renewed in time is renewed.

        A server on SQLite often returns 503 to a renewal, and its repetition takes seconds. One that was
        renamed keeps no other run out, and one whose value was edited may be meant for another run.

        Raises:
            LockLostError: It is not.
        """
        if abs(time() - self.renewed) > 2 * RENEW_SECONDS:
            await self.renew()
        async with get_client() as client:
            response = await _request(client, "GET", self.variable_id)
        if response is None or not self._is_own(Variable.model_validate(response.json())):
            raise self._lost()

    async def release(self) -> None:
        """Let the next run prune; a lock that is another run's by now is left alone."""
        async with get_client() as client:
            await _request(client, "DELETE", self.variable_id)

    def _is_own(self, found: Variable) -> bool:
        known = _holder_of(found)
        return found.name == self.name and known is not None and known.attempt == self.holder.attempt

    def _lost(self) -> LockLostError:
        return LockLostError(
            f"The variable {self.name} was deleted, edited or taken over by another run: the lock of a "
            "run expires after "
            f"{GONE_AFTER.total_seconds():.0f} s. Run it again.",
            "prune_lock_lost",
        )


async def acquire_lock(project: str, holder: Holder) -> PruneLock:
    """Take the lock of a project, also from a run that is gone.

    Raises:
        AnotherRunPrunesError: A run that is not gone holds it.
    """
    name = lock_name(project)
    async with get_client() as client:
        for _ in range(_MAX_TRIES):
            created = await _create(client, name, holder)
            if isinstance(created, Variable):
                return PruneLock(created.id, name, holder)
            found = await client.read_variable_by_name(name)
            if found is None:  # released in between
                continue
            known = _holder_of(found)
            if known and known.attempt == holder.attempt:  # the response to an earlier try was lost
                return PruneLock(found.id, name, holder)
            if not await _is_gone(client, found, known, mine=holder, now=created):
                raise _another_run(project, name, known, found)
            await _request(client, "DELETE", found.id)
    raise AnotherRunPrunesError(
        f"The variable {name} changed {_MAX_TRIES} times while it was read: other runs prune project "
        f"'{project}'. Nothing was changed.",
        "another_run_prunes",
    )


async def is_held(project: str, flow_run_id: UUID) -> bool:
    """Return whether a flow run holds the lock of a project, and has shown a sign of life lately."""
    async with get_client() as client:
        try:
            named = {"name": lock_name(project)}
            response = await client.request("GET", "/variables/name/{name}", path_params=named)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                return False
            raise
    found, now = Variable.model_validate(response.json()), _server_time(response)
    holder, renewed = _holder_of(found), found.updated or found.created or now
    return holder is not None and holder.flow_run_id == flow_run_id and now - renewed < FINISHED_GONE_AFTER


def lock_name(project: str) -> str:
    """Make the variable's name; a project's name has dashes and no underscores."""
    return f"hetzner_snapshot_prune_{project.replace('-', '_')}"


async def _create(client: PrefectClient, name: str, holder: Holder) -> Variable | datetime:
    """Create the variable; if there is one, return the Prefect server's time: clocks differ."""
    content = {"name": name, "value": _value(holder), "tags": ["hetzner-cloud"]}
    try:
        response = await client.request("POST", "/variables/", json=content)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == HTTPStatus.CONFLICT:
            return _server_time(error.response)
        raise
    return Variable.model_validate(response.json())


async def _request(
    client: PrefectClient,
    method: Literal["GET", "PATCH", "DELETE"],
    variable_id: UUID,
    content: Mapping[str, Any] | None = None,
) -> httpx.Response | None:
    """Send a request about one variable by its id; None if there is none."""
    try:
        return await client.request(method, "/variables/{id}", path_params={"id": variable_id}, json=content)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            return None
        raise


def _value(holder: Holder) -> dict[str, Any]:
    return holder.model_dump(mode="json")


def _holder_of(variable: Variable) -> Holder | None:
    try:
        return Holder.model_validate(variable.value)
    except ValidationError:
        return None


async def _is_gone(
    client: PrefectClient, found: Variable, known: Holder | None, *, mine: Holder, now: datetime
) -> bool:
    if known and known.flow_run_id == mine.flow_run_id:  # an earlier attempt of this run
        return True
    silence = now - (found.updated or found.created or now)
    if silence < FINISHED_GONE_AFTER:
        return False
    return silence >= GONE_AFTER or known is None or await _is_finished(client, known.flow_run_id)


async def _is_finished(client: PrefectClient, flow_run_id: UUID) -> bool:
    try:
        run = await client.read_flow_run(flow_run_id)
    except ObjectNotFound:
        return True
    return run.state is not None and run.state.is_final()


def _another_run(project: str, name: str, known: Holder | None, found: Variable) -> AnotherRunPrunesError:
    renewed = found.updated or found.created
    since = f", last renewed {renewed.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if renewed else ""
    return AnotherRunPrunesError(
        f"{known or 'Another run'} prunes project '{project}' (variable {name}{since}): nothing was changed. "
        f"If its process has died, run it again {GONE_AFTER.total_seconds() / 60:.0f} minutes later.",
        "another_run_prunes",
    )


def _server_time(response: httpx.Response) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
