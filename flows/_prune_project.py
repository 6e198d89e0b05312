"""One project's part of applying a plan: the lock, what an earlier run left, one snapshot after the other."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._observe_project import Observation, PruneOptions
from flows._projects import for_each_project, run_isolated
from flows._protect_again import finish_despite_cancellation, look, protect_again
from flows._prune_snapshot import Applying, Ended, SnapshotPruning
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import HetznerCloudError
from records.prefect_errors import describe_prefect_error
from records.prune_locks import RENEW_SECONDS, AnotherRunPrunesError, Holder, PruneLock, acquire_lock
from records.prune_progress import ProgressRecord, load_interrupted
from records.pruned_snapshots import load_pruned, record_pruned
from reporting.events import emit_left_unprotected
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_plan import PrunePlan
from snapshot_protection.prune_progress import PruneProgress
from snapshot_protection.prune_report import ProjectPruneReport
from snapshot_protection.pruned_record import PrunedSnapshot

LEFT_UNPROTECTED = "left_unprotected"


@dataclass(frozen=True)
class ThisRun:
    """The flow run in progress."""

    id: UUID
    name: str

    @property
    def holder(self) -> Holder:
        """Make what a lock has of it."""
        return Holder(flow_run_id=self.id, flow_run_name=self.name)


@dataclass(frozen=True)
class Recovery:
    """What became of what runs that are gone had left in a project.

    Attributes:
        lines: One for each snapshot that was protected again, or is known to be deleted.
        error: Why a snapshot could not be protected again.
        is_settled: Whether nothing that was begun can still take effect.
    """

    lines: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    is_settled: bool = True


async def recover_projects(
    projects: Iterable[Project], options: PruneOptions, run: ThisRun
) -> Mapping[str, Recovery]:
    """Protect what runs that are gone have left as in progress, in each project where there is any.

    A dry run only records what was deleted, and reports what is unprotected.
    """
    chosen = list(projects)

    async def recover(project: Project) -> Recovery:
        return await run_isolated(
            project,
            lambda credentials: _recover_locked(project.name, credentials, options, run),
            lambda error: Recovery(error=error if project.credentials else None),  # else reported already
        )

    found = await for_each_project(chosen, recover)
    return {project.name: recovery for project, recovery in zip(chosen, found, strict=True)}


async def apply_plan(
    observed: Iterable[Observation], plan: PrunePlan, options: PruneOptions, run: ThisRun
) -> list[ProjectPruneReport]:
    """Delete what is planned, in all projects at once, one snapshot at a time in each."""
    by_name = {one.project.name: one for one in observed}

    async def apply(project: Project) -> ProjectPruneReport:
        observation = by_name[project.name]
        applied = _Applied.of(observation)
        if not any(one.project == project.name for one in plan.snapshots):
            return applied.report()
        return await run_isolated(
            project,
            lambda credentials: _apply(credentials, applied, plan, options, run),
            applied.report,
        )

    return await for_each_project([one.project for one in by_name.values()], apply)


@dataclass
class _Applied:
    """What became of each snapshot so far."""

    observation: Observation
    outcomes: dict[int, PruneOutcome]
    recovered: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, observation: Observation) -> "_Applied":
        """Begin: what a dry run calls due waits for its turn."""
        every = (
            one.become("queued") if one.outcome == "would_prune" else one for one in observation.outcomes
        )
        return cls(observation, {one.image_id: one for one in every})

    def record(self, image_id: int, ended: Ended) -> None:
        self.outcomes[image_id] = self.outcomes[image_id].become(ended.outcome, ended.error)

    def report(self, error: ErrorInfo | None = None) -> ProjectPruneReport:
        report = self.observation.report
        return report.model_copy(
            update={
                "outcomes": tuple(self.outcomes.values()),
                "error": error or report.error,
                "recovered": (*report.recovered, *self.recovered),
            }
        )


async def _apply(
    credentials: HetznerCloudCredentials,
    applied: _Applied,
    plan: PrunePlan,
    options: PruneOptions,
    run: ThisRun,
) -> ProjectPruneReport:
    observation = applied.observation
    name, quarantine = observation.project.name, observation.quarantine
    if quarantine is None:
        return applied.report()
    async with _locked(name, run) as lock:
        recovery = await _recover(name, credentials, options)
        applied.recovered += recovery.lines
        if recovery.error:
            return applied.report(recovery.error)
        record = await ProgressRecord.create(PruneProgress(project=name, flow_run_id=run.id))
        applying = Applying(name, credentials, plan, quarantine, options, run.id, lock, record)
        error = await _prune_each(applying, applied)
    return applied.report(error)


async def _prune_each(applying: Applying, applied: _Applied) -> ErrorInfo | None:
    """Prune one after the other; returns why the run stopped before the last one."""
    for planned in (one for one in applying.plan.snapshots if one.project == applying.project):
        pruning = SnapshotPruning(applying, planned)
        try:
            ended = await pruning.prune()
        except Exception as error:  # noqa: BLE001 - reported, with what was done before
            if pruning.ended:
                applied.record(planned.image_id, pruning.ended)
            return _stopped(error)
        applied.record(planned.image_id, ended)
        if ended.outcome == "left_unprotected" or (ended.error and ended.error.token_rejected):
            return ended.error
    return None


def _stopped(error: Exception) -> ErrorInfo:
    if isinstance(error, HetznerCloudError):
        return ErrorInfo.of(error)
    run_logger().exception("The run stopped in this project")
    return ErrorInfo(code="internal_error", message=f"the run stopped: {describe_prefect_error(error)}")


async def _recover_locked(
    name: str, credentials: HetznerCloudCredentials, options: PruneOptions, run: ThisRun
) -> Recovery:
    if not await load_interrupted(name):
        return Recovery()
    try:
        async with _locked(name, run):
            return await _recover(name, credentials, options)
    except AnotherRunPrunesError as error:  # what is in progress is that run's
        run_logger().info("%s", error)
        return Recovery()


async def _recover(name: str, credentials: HetznerCloudCredentials, options: PruneOptions) -> Recovery:
    """Protect what is on record as in progress; only for the run that holds the lock."""
    interrupted = await load_interrupted(name)
    if not interrupted:
        return Recovery()
    endpoint = normalize_endpoint(credentials.endpoint)
    exempt = (await options.requirements.read(name, endpoint)).exemptions
    pruned = await load_pruned(name)
    lines: list[str] = []
    for record in interrupted:
        planned = record.progress.in_progress
        if planned and planned.image_id not in {*exempt, *pruned}:
            recovered = await _recover_one(credentials, record.progress, options)
            lines += recovered.lines
            if recovered.error:
                return Recovery(tuple(lines), recovered.error)
            if not recovered.is_settled:
                continue
        await record.settle()
    return Recovery(tuple(lines))


async def _recover_one(
    credentials: HetznerCloudCredentials, progress: PruneProgress, options: PruneOptions
) -> Recovery:
    planned, began = progress.in_progress, progress.began
    if planned is None:
        return Recovery()
    image_id, now = planned.image_id, options.clock()
    text = f"snapshot {image_id}, which flow run {progress.flow_run_id} was pruning when it ended"
    run_logger().warning("%s%s: looking at it again", text[0].upper(), text[1:])
    seen = await look(credentials, image_id)
    if seen.state != "deleted" and not options.dry_run:  # or its change still runs
        seen = await protect_again(credentials, image_id, timeout_seconds=options.timeout_seconds)
    if seen.state == "deleted":
        found = PrunedSnapshot.of(planned, pruned=began or now, flow_run_id=progress.flow_run_id)
        await record_pruned(progress.project, [found], now)
        return Recovery((f"{text}, is deleted: recorded as pruned",))
    if seen.state == "protected":
        return Recovery((f"{text}, is protected",), is_settled=not options.dry_run)
    reason = f"{text}, is {seen.state}{f': {seen.error.message}' if seen.error else ''}"
    emit_left_unprotected(progress.project, [image_id], reason)
    return Recovery(error=ErrorInfo(code=LEFT_UNPROTECTED, message=f"{reason}. Protect it"))


@asynccontextmanager
async def _locked(project: str, run: ThisRun) -> AsyncIterator[PruneLock]:
    """Hold the project's lock, and renew it meanwhile."""
    lock = await acquire_lock(project, run.holder)
    renewing = asyncio.create_task(_renew(lock))
    try:
        yield lock
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await finish_despite_cancellation(lambda: _release(lock))


async def _renew(lock: PruneLock) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await lock.renew()
        except Exception as error:  # noqa: BLE001 - it is renewed before each change, too, and not without
            run_logger().warning("The lock could not be renewed: %s", describe_prefect_error(error))


async def _release(lock: PruneLock) -> None:
    try:
        await lock.release()
    except Exception as error:  # noqa: BLE001 - it ends by itself; what was done must be reported
        text = describe_prefect_error(error)
        run_logger().warning("The variable %s could not be deleted: %s", lock.name, text)
