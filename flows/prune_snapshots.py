"""Delete the snapshots that a policy does not keep, one at a time, and never leave a survivor unprotected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.projects import Project, find_saved_names, load_projects
from blocks.snapshot_policy import load_policy
from flows._conclusion import with_unpublished
from flows._form_fields import Count, QuarantineDays, TimeoutSeconds
from flows._observe_project import PruneOptions, observe_projects
from flows._prune_approval import PruneApproval
from flows._prune_lock import ThisRun
from flows._prune_project import apply_plan
from flows._prune_recovery import Recovery, recover_projects
from flows._requirements import RunRequirements, now_utc
from flows._run_context import exclude_imports_from_collection, is_deployed, returned_state
from flows._run_names import prune_run_name
from flows._write_ahead import before_any_change
from hetzner_cloud.environment import check_environment
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.validation import validate_timeout
from reporting.artifacts import publish
from reporting.run_logging import log_report
from snapshot_protection.parameters import validate_max_deletions, validate_quarantine_days
from snapshot_protection.prune_pages import render_prune_report
from snapshot_protection.prune_plan import PruneLimits, describe_nothing_to_prune
from snapshot_protection.prune_report import ProjectPruneReport, PruneReport, SnapshotsNotPrunedError

_MIN_UNAPPROVED_DAYS = 1  # less would be over in the next run, before anyone has seen a report


@flow(name="prune-snapshots", flow_run_name=prune_run_name, retries=0, retry_delay_seconds=0)
async def prune_snapshots(
    dry_run: bool = True,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    policy: str = "default",
    quarantine_days: QuarantineDays = 7,
    max_deletions: Count = 10,
    approval: bool = True,  # noqa: FBT001, FBT002 - as above
    timeout_seconds: TimeoutSeconds = 900,
) -> PruneReport:
    """Delete the snapshots that the policy does not keep, if each has been a candidate in every run for days.

    A dry run changes nothing: it reports what would be deleted and when, and records the candidates;
    run it every night. Otherwise the run plans, suspends until the plan is approved in the UI, plans
    again, and deletes one snapshot at a time in each project: it checks it again, removes its
    protection, deletes it, and verifies that. If anything unexpected happens, it protects the snapshot again.
    Needs a Read & Write token.

    Args:
        dry_run: Only report what would be deleted; change nothing.
        projects: The names of the credentials blocks to use. Empty: every saved one.
        policy: The name of the Snapshot Policy block; only its rules with prune select what may be deleted.
        quarantine_days: How long a snapshot must have been a candidate in every run, dry runs included.
        max_deletions: How many snapshots of a project are deleted in one run, at most; the oldest first.
        approval: Whether to suspend until a second user approves. Always, for a run of a deployment with
            less than a day of quarantine.
        timeout_seconds: How long to wait for each action.

    Returns:
        The report, with one outcome for each snapshot, if nothing failed.

    Raises:
        SnapshotsNotPrunedError: Something failed, or had to be protected again; `report` tells what.
        InvalidArgumentError: A parameter or the policy is not usable; no request was sent.
    """
    exclude_imports_from_collection()
    try:
        check_environment()
        limits, timeout_seconds = validate_parameters(quarantine_days, max_deletions, timeout_seconds)
        if not dry_run:
            _validate_approval(limits, required=approval, deployed=is_deployed())
        named_policy = await load_policy(policy)
        chosen = await load_projects(projects, deployed=is_deployed())
        requirements = RunRequirements.of(named_policy, chosen, also=await find_saved_names())
        # An exemption keeps: none ends early, and none is too long.
        requirements = replace(requirements, clock=now_utc, any_exemption=True)
        options = PruneOptions(requirements, limits, dry_run, timeout_seconds)
        pruning = _PruneRun(chosen, options, ThisRun(UUID(str(flow_run.id)), flow_run.name or ""))
        return await (pruning.look() if dry_run else pruning.apply(with_approval=approval))
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))


def validate_parameters(
    quarantine_days: object, max_deletions: object, timeout_seconds: object
) -> tuple[PruneLimits, float]:
    """Return the limits of a run, and the bound of each wait.

    Raises:
        InvalidArgumentError: One of them is not usable.
    """
    limits = PruneLimits(validate_quarantine_days(quarantine_days), validate_max_deletions(max_deletions))
    return limits, validate_timeout(timeout_seconds)


@dataclass(frozen=True)
class _PruneRun:
    projects: Sequence[Project]
    options: PruneOptions
    run: ThisRun

    async def look(self) -> PruneReport:
        """Report what would be deleted."""
        recovered = await recover_projects(self.projects, self.options, self.run)
        observed = await observe_projects(self.projects, self.options)
        reports = _with_recovered([one.report for one in observed], recovered)
        return await self._finish(self._report(reports))

    async def apply(self, *, with_approval: bool) -> PruneReport:
        """Delete what is planned and, where that is required, approved."""
        recovered = await recover_projects(self.projects, self.options, self.run)
        with before_any_change("The plan could not be stored or approved"):
            approving = PruneApproval(self.projects, self.options, self.run.id)
            decision = await approving.decide(with_approval=with_approval)
        if decision.rejected:
            text = f"Rejected by {decision.decided_by} (as stated); nothing was changed."
            return returned_state(Completed(name="Rejected", message=text))
        applied = await apply_plan(decision.observed, decision.plan, self.options, self.run)
        reports = _with_recovered(applied, recovered)
        return await self._finish(self._report(reports, approved_by=decision.decided_by))

    def _report(self, projects: Sequence[ProjectPruneReport], *, approved_by: str = "") -> PruneReport:
        policy, limits = self.options.requirements.policy, self.options.limits
        return PruneReport(
            dry_run=self.options.dry_run,
            policy=str(policy),
            quarantine_days=limits.quarantine_days,
            max_deletions=limits.max_deletions,
            projects=tuple(projects),
            approved_by=approved_by,
            nothing_to_prune=describe_nothing_to_prune(policy),
        )

    async def _finish(self, report: PruneReport) -> PruneReport:
        rendered = render_prune_report(report, self.options.clock())
        log_report(rendered)
        message = with_unpublished(rendered.message, await publish(rendered))
        if report.succeeded:
            return returned_state(Completed(message=message, data=report))
        return returned_state(Failed(message=message, data=SnapshotsNotPrunedError(report)))


def _with_recovered(
    reports: Sequence[ProjectPruneReport], recovered: Mapping[str, Recovery]
) -> list[ProjectPruneReport]:
    return [
        report.model_copy(
            update={
                "recovered": (*recovered[report.project].lines, *report.recovered),
                "error": report.error or recovered[report.project].error,
            }
        )
        for report in reports
    ]


def _validate_approval(limits: PruneLimits, *, required: bool, deployed: bool) -> None:
    if deployed and not required and limits.quarantine_days < _MIN_UNAPPROVED_DAYS:
        raise InvalidArgumentError(
            f"A run of a deployment with less than {_MIN_UNAPPROVED_DAYS} day of quarantine needs approval: "
            "start it with approval=True."
        )
    if required and not deployed:
        raise InvalidArgumentError(
            "Only a run of a deployment can wait for approval: start prune-snapshots/on-demand, or pass "
            "approval=False from a shell."
        )
