"""The baselines of audits: what each stores for the next one, one for each project and label selector."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from prefect.client.orchestration import PrefectClient, get_client

from records.prefect_errors import describe_prefect_error
from records.record_versions import add_version, read_last_versions, read_versions
from snapshot_protection.audit import baseline_entries
from snapshot_protection.audit_baseline import (
    AuditBaseline,
    baseline_key,
    describe_baseline,
    earlier_baseline_keys,
)
from snapshot_protection.audit_baseline_format import StoredPage, dump_baseline
from snapshot_protection.audit_history import AuditHistory, read_history
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.wording import pluralize

_MAX_CONCURRENT_REQUESTS = 50
_VERSIONS_IN_A_PAGE = 5
_MAX_VERSIONS = 25  # as many audits may overlap


class BaselineStore:
    """Loads and saves the baselines of one audit's projects; an artifact is never changed, only added."""

    def __init__(self, label_selector: str) -> None:
        self._label_selector = label_selector
        self._limiter = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)

    async def load(self, project: str) -> AuditHistory:
        """Load what is known of a project's snapshots, from as many stored versions as that takes.

        Of what 0.4.0 stores, under other keys, the last version is read each time: it may run again after
        this version has. Earlier ones are read where there is nothing else that can be.
        """
        key = baseline_key(project, self._label_selector)
        earlier = earlier_baseline_keys(project, self._label_selector)
        async with self._limiter, get_client() as client:
            last = await read_last_versions(client, [key, *earlier])
            own = await self._read(client, project, [key], [last[key]] if key in last else [])
            others = [last[one] for one in earlier if one in last]
            history = self._history([*own, *others], project)
            if not history.baseline:
                others = await self._read(client, project, earlier, others)
                history = self._history([*own, *others], project)
        return history

    async def save(self, projects: Iterable[ProjectAudit]) -> Mapping[str, str]:
        """Save the baseline of each project that could be read; the others keep their last one.

        Returns:
            By project, why its baseline could not be stored.
        """
        readable = [project for project in projects if project.keeps_history and not project.error]
        reasons = await asyncio.gather(*(self._save(project) for project in readable))
        return {project.project: why for project, why in zip(readable, reasons, strict=True) if why}

    async def _read(
        self, client: PrefectClient, project: str, keys: Sequence[str], last: Sequence[StoredPage]
    ) -> list[StoredPage]:
        """Read versions until older ones cannot know more; `last` are those that were written last."""
        found = {one.id: one for one in last}  # by id: a version that is written now shifts the others
        for offset in range(0, _MAX_VERSIONS, _VERSIONS_IN_A_PAGE):
            page = await read_versions(client, keys, limit=_VERSIONS_IN_A_PAGE, offset=offset)
            found |= {one.id: one for one in page}
            if len(page) < _VERSIONS_IN_A_PAGE or self._history([*found.values()], project).is_whole:
                break
        return list(found.values())

    def _history(self, pages: Sequence[StoredPage], project: str) -> AuditHistory:
        return read_history(pages, project, self._label_selector)

    async def _save(self, project: ProjectAudit) -> str:
        try:
            async with self._limiter:
                key, page = baseline_key(project.project, self._label_selector), self._render(project)
                async with get_client() as client:
                    await add_version(client, key, page, description=describe_baseline(project.project))
        except Exception as error:  # noqa: BLE001 - named in the final message; the others are stored
            return describe_prefect_error(error)
        return ""

    def _render(self, project: ProjectAudit) -> str:
        baseline = AuditBaseline(
            project=project.project,
            label_selector=self._label_selector,
            listed=project.listed or datetime.now(UTC),
            snapshots=baseline_entries(project.findings),
            trend=project.trend,
            folded=project.versions,
            history_lost=project.history_lost,
            policies=project.policies,
        )
        text = (
            f"The audit listed {pluralize(project.listed_snapshots, 'snapshot')}. The next audit compares "
            "with the data stored here, which is not shown; without it, the next audit is a first audit."
        )
        return f"{text}\n\n{dump_baseline(baseline)}\n"
