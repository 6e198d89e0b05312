"""What runs that were killed have left in progress: protected by the next run, or recorded as pruned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._observe_project import PruneOptions
from flows._projects import for_each_project, run_isolated
from flows._protect_again import look, look_when_settled, protect_again
from flows._prune_lock import ThisRun, locked
from hetzner_cloud.config import normalize_endpoint
from records.prune_locks import AnotherRunPrunesError
from records.prune_progress import ProgressRecord, load_interrupted
from records.pruned_snapshots import load_pruned, record_pruned
from reporting.events import emit_left_unprotected
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.pruned_record import PrunedSnapshot

LEFT_UNPROTECTED = "left_unprotected"


@dataclass(frozen=True)
class Recovery:
    """The result for what runs that are gone had left in a project.

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

    A dry run only records what was deleted or is protected for good, and reports what is unprotected.
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


async def _recover_locked(
    name: str, credentials: HetznerCloudCredentials, options: PruneOptions, run: ThisRun
) -> Recovery:
    if not await load_interrupted(name):
        return Recovery()
    try:
        async with locked(name, run):
            return await recover_project(name, credentials, options)
    except AnotherRunPrunesError as error:  # what is in progress is that run's
        run_logger().info("%s", error)
        return Recovery()


async def recover_project(name: str, credentials: HetznerCloudCredentials, options: PruneOptions) -> Recovery:
    """Protect what is on record as in progress; only for the run that holds the lock."""
    interrupted = await load_interrupted(name)
    if not interrupted:
        return Recovery()
    endpoint = normalize_endpoint(credentials.endpoint)
    requirements = replace(options.requirements, any_exemption=False)  # here, one excuses
    exempt = (await requirements.read(name, endpoint)).exemptions
    pruned = await load_pruned(name)
    lines: list[str] = []
    error: ErrorInfo | None = None
    for record in interrupted:
        planned = record.progress.in_progress
        if planned and planned.image_id not in {*exempt, *pruned}:
            recovered = await _recover_one(credentials, record, options)
            lines += recovered.lines
            error = error or recovered.error
            if recovered.error or not recovered.is_settled:
                continue
        await record.settle()
    return Recovery(tuple(lines), error)


async def _recover_one(
    credentials: HetznerCloudCredentials, record: ProgressRecord, options: PruneOptions
) -> Recovery:
    progress = record.progress
    planned, began = progress.in_progress, progress.began
    if planned is None:
        return Recovery()
    image_id, now = planned.image_id, options.clock()
    text = f"snapshot {image_id}, which flow run {progress.flow_run_id} was pruning when it stopped"
    run_logger().warning("%s%s: verifying its state", text[0].upper(), text[1:])
    settle = look_when_settled if options.dry_run else protect_again  # its change may still run
    seen = await settle(credentials, image_id, timeout_seconds=options.timeout_seconds)
    if seen.state == "deleted" and not await _any_exists(credentials, progress.beside):
        reason = f"{text}, is not found, and neither are the snapshots that were listed with it"
        return _left_unprotected(
            progress.project,
            image_id,
            f"{reason}: the token may be another project's. Protect it there; if it is deleted, delete the "
            f"record of that run: prefect artifact delete --id {record.artifact_id}",
        )
    if seen.state == "deleted":
        found = PrunedSnapshot.of(planned, pruned=began or now, flow_run_id=progress.flow_run_id)
        await record_pruned(progress.project, [found], now)
        return Recovery((f"{text}, is deleted: recorded as pruned",))
    if seen.state == "protected":
        return Recovery((f"{text}, is protected",), is_settled=seen.error is None)
    reason = f"{text}, is {seen.state}{f': {seen.error.message}' if seen.error else ''}"
    return _left_unprotected(progress.project, image_id, f"{reason}. Protect it")


async def _any_exists(credentials: HetznerCloudCredentials, image_ids: Iterable[int]) -> bool:
    """Return whether any of these exists, so that the token is still that of their project."""
    for image_id in image_ids:
        if (await look(credentials, image_id)).state in {"protected", "unprotected"}:
            return True
    return False


def _left_unprotected(project: str, image_id: int, reason: str) -> Recovery:
    emit_left_unprotected(project, [image_id], reason)
    return Recovery(error=ErrorInfo(code=LEFT_UNPROTECTED, message=reason))
