"""What a Prefect server stores for runs that prune, in memory: artifacts, variables and states of runs.

It stands in for Prefect's client where hundreds of runs are tried without the engine; the records above it
are the real ones. Time is an argument: a lock ends by the same clock as a quarantine.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter
from prefect.client.schemas.objects import Artifact, State, Variable
from prefect.exceptions import ObjectNotFound
from prefect.states import Running

_MODULES = (
    "records.exemptions",
    "records.prune_locks",
    "records.prune_progress",
    "records.pruned_snapshots",
    "records.quarantines",
    "flows._prune_snapshot",
)
GET_CLIENT = tuple(f"{module}.get_client" for module in _MODULES)


class PrefectMemory:
    """One server.

    Attributes:
        artifacts: The oldest first.
        states: Of flow runs by their id; any other is running.
        before: Called with the name of each request, and the key of an artifact; may raise.
    """

    def __init__(self, clock: Callable[[], datetime], before: Callable[[str, str], None]) -> None:
        self._clock = clock
        self.before = before
        self.artifacts: list[Artifact] = []
        self.variables: dict[str, Variable] = {}
        self.states: dict[UUID, State[Any]] = {}

    @asynccontextmanager
    async def get_client(self) -> AsyncIterator["PrefectMemory"]:
        """Return what takes the place of the client."""
        yield self

    async def create_artifact(self, artifact: ArtifactCreate) -> Artifact:
        self.before("create_artifact", artifact.key or "")
        now = self._clock()
        created = Artifact(id=uuid4(), created=now, updated=now, **artifact.model_dump(exclude_unset=True))
        self.artifacts.append(created)
        return created

    async def update_artifact(self, artifact_id: UUID, artifact: ArtifactUpdate) -> None:
        self.before("update_artifact", "")
        self._artifact(artifact_id).data = artifact.data

    async def delete_artifact(self, artifact_id: UUID) -> None:
        self.before("delete_artifact", "")
        self.artifacts.remove(self._artifact(artifact_id))

    async def read_artifacts(
        self, *, artifact_filter: ArtifactFilter, sort: object, limit: int, offset: int = 0
    ) -> list[Artifact]:
        self.before("read_artifacts", "")
        assert sort
        assert artifact_filter.key
        keys = artifact_filter.key.any_ or []
        found = [one for one in reversed(self.artifacts) if one.key in keys]
        return deepcopy(found[offset : offset + limit])

    async def read_latest_artifacts(
        self, *, artifact_filter: ArtifactCollectionFilter, sort: object, limit: int = 200, offset: int = 0
    ) -> list[Any]:
        assert sort
        assert artifact_filter.key
        keys, like = artifact_filter.key.any_ or [], artifact_filter.key.like_
        self.before("read_latest_artifacts", like or keys[0])
        prefix = like.removesuffix("%") if like else ""
        latest = {
            one.key: one
            for one in self.artifacts
            if one.key and (one.key in keys or (prefix and one.key.startswith(prefix)))
        }
        return [
            SimpleNamespace(key=key, latest_id=one.id, data=one.data, description=one.description)
            for key, one in sorted(latest.items())
        ][offset : offset + limit]

    async def read_flow_run(self, flow_run_id: UUID) -> Any:
        self.before("read_flow_run", "")
        return SimpleNamespace(id=flow_run_id, state=self.states.get(flow_run_id, Running()))

    async def read_variable_by_name(self, name: str) -> Variable | None:
        self.before("read_variable", "")
        return deepcopy(self.variables.get(name))

    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> httpx.Response:
        """Create, read, renew or delete a variable."""
        self.before(f"{method} variable", "")
        if method == "POST":
            return self._create_variable(json)
        wanted = [*(path_params or {}).values()]
        found = next((one for one in self.variables.values() if {one.id, one.name} & {*wanted}), None)
        if found is None:
            raise self._error(404, path)
        if method == "DELETE":
            del self.variables[found.name]
        elif method == "PATCH":
            changed = found.model_copy(update={"value": json["value"], "updated": self._clock()})
            self.variables[found.name] = found = changed
        headers = {"date": format_datetime(self._clock(), usegmt=True)}
        return httpx.Response(200, headers=headers, json=found.model_dump(mode="json"))

    def holds(self, name: str, flow_run_id: UUID) -> bool:
        """Return whether a variable is the lock of a flow run."""
        value = self.variables[name].value if name in self.variables else None
        return isinstance(value, dict) and value["flow_run_id"] == str(flow_run_id)

    def _create_variable(self, content: Mapping[str, Any]) -> httpx.Response:
        if content["name"] in self.variables:
            raise self._error(409, "/variables/")
        now = self._clock()
        created = Variable(id=uuid4(), created=now, updated=now, **content)
        self.variables[created.name] = created
        return httpx.Response(201, json=created.model_dump(mode="json"))

    def _artifact(self, artifact_id: UUID) -> Artifact:
        for one in self.artifacts:
            if one.id == artifact_id:
                return one
        raise ObjectNotFound(http_exc=self._error(404, "/artifacts/"))

    def _error(self, status: int, path: str) -> httpx.HTTPStatusError:
        request = httpx.Request("GET", f"http://prefect.example{path}")
        headers = {"date": format_datetime(self._clock(), usegmt=True)}
        response = httpx.Response(status, headers=headers, request=request)
        return httpx.HTTPStatusError(str(status), request=request, response=response)
