"""One project's part of applying a plan: the lock, what an earlier run left, one snapshot after the other."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._observe_project import PruneOptions
from flows._projects import for_each_project, run_isolated
from flows._prune_judging import Applying, Ended
from flows._prune_lock import ThisRun, locked
from flows._prune_observation import Observation
from flows._prune_recovery import recover_project
from flows._prune_snapshot import SnapshotPruning
from hetzner_cloud.errors import HetznerCloudError
from records.prefect_errors import describe_prefect_error
from records.prune_progress import ProgressRecord
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_plan import PrunePlan
from snapshot_protection.prune_progress import PruneProgress
from snapshot_protection.prune_report import ProjectPruneReport


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
    """The outcome of each snapshot so far."""

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
    async with locked(name, run) as lock:
        recovery = await recover_project(name, credentials, options)
        applied.recovered += recovery.lines
        if recovery.error:
            return applied.report(recovery.error)
        progress = PruneProgress(project=name, endpoint=observation.endpoint, flow_run_id=run.id)
        record = await ProgressRecord.create(progress)
        names = observation.also_named
        applying = Applying(name, credentials, plan, quarantine, options, run.id, lock, record, names)
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
