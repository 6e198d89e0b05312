"""A protection run's report: the outcomes of all projects, their counts, message and table rows. Pure."""

from collections import Counter
from datetime import datetime
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.embedding import embed, extract
from snapshot_protection.empty_projects import describe_empty, format_nothing_found
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason
from snapshot_protection.outcomes import OutcomeName, SnapshotOutcome, severity
from snapshot_protection.reported_policy import ReportedPolicy
from snapshot_protection.same_projects import describe_duplicates, find_duplicates, merge_outcomes
from snapshot_protection.wording import first_ones, pluralize

_NAME = "protection-report"
_NAMED_IN_MESSAGE = 5


class ProjectReport(BaseModel):
    """The outcomes for one project's snapshots.

    Attributes:
        error: Why its snapshots could not be listed or, where there are some, one could not be changed.
        without_id: What is wrong with each listed entry that has no valid id, so no outcome.
        endpoint: Where they are, normalized; with it, an image id says which snapshot one is.
        finished: When what was seen last was seen.
        clock: Which machine's clock said so; times of different clocks are not compared.
        policy: What was required of them; None of a project whose flow run left no report.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    snapshots: tuple[SnapshotOutcome, ...] = ()
    error: ErrorInfo | None = None
    without_id: tuple[ErrorInfo, ...] = ()
    endpoint: str = ""
    finished: datetime | None = None
    clock: int = 0
    policy: ReportedPolicy | None = None


class ProtectionReport(BaseModel):
    """The outcomes of a protection run, exactly one for each snapshot, also with two tokens of a project."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    projects: tuple[ProjectReport, ...] = Field(repr=False)  # asyncio makes the repr of a run's result
    label_selector: str = ""

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json(exclude_defaults=True))

    @classmethod
    def load(cls, page: str) -> "ProtectionReport | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        try:
            return cls.model_validate_json(extract(_NAME, page) or "")
        except ValidationError:
            return None

    @cached_property
    def snapshots(self) -> list[SnapshotOutcome]:
        """All outcomes, the most severe first."""
        return sorted(
            merge_outcomes(self.projects),
            key=lambda outcome: (severity(outcome.outcome), outcome.project, outcome.image_id),
        )

    @cached_property
    def duplicates(self) -> dict[str, str]:
        """The projects that are the same as one before them, by another token, and the name of that one."""
        return find_duplicates(self.projects)

    @property
    def policies(self) -> Counter[ReportedPolicy]:
        """How many projects had each policy: there is one, unless it changed between batches."""
        return Counter(project.policy for project in self.projects if project.policy)

    @property
    def counts(self) -> Counter[str]:
        """How many snapshots had each outcome."""
        return Counter(outcome.outcome for outcome in self.snapshots)

    @property
    def succeeded(self) -> bool:
        """Whether no snapshot needs attention, all could be read, and no token was rejected."""
        needs_attention = any(outcome.needs_attention for outcome in self.snapshots)
        return not (needs_attention or self.with_errors or self.without_id)

    @property
    def inaccessible(self) -> list[ProjectReport]:
        """The projects whose snapshots could not be listed."""
        return [project for project in self.projects if project.error and not project.snapshots]

    @property
    def without_id(self) -> list[tuple[ProjectReport, ErrorInfo]]:
        """The listed entries that have no valid id, with their projects; of two tokens of one, once."""
        listed: dict[str, ProjectReport] = {}
        for project in self.projects:
            owner = self.duplicates.get(project.project, project.project)
            listed[owner] = max(listed.get(owner, project), project, key=lambda one: len(one.without_id))
        return [(project, error) for project in listed.values() for error in project.without_id]

    @property
    def with_errors(self) -> list[ProjectReport]:
        """The projects that could not be read, or whose token was rejected."""
        return [project for project in self.projects if project.error]


class SnapshotsNotProtectedError(HetznerCloudError):
    """A run finished and not every snapshot is protected; see `report`."""

    def __init__(self, report: ProtectionReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def format_message(report: ProtectionReport) -> str:
    """Format in one line the result of a run and, where there is something to do, the next step."""
    saved = [str(policy) for policy in report.policies if not policy.is_built_in]
    parts = [format_headline(report), *first_ones(saved, _NAMED_IN_MESSAGE)]
    parts += [*_describe_empty(report), *describe_duplicates(report.duplicates)]
    errors = [describe_project_error(project) for project in report.with_errors]
    parts += first_ones(errors, _NAMED_IN_MESSAGE, "project")
    parts += first_ones(describe_without_id(report), _NAMED_IN_MESSAGE)
    notable = join_reasons(map(make_outcome_reason, select_notable(report)))
    parts += first_ones([str(reason) for reason in notable], _NAMED_IN_MESSAGE)
    return "; ".join(parts) + ("" if report.succeeded else f". {next_step(report)}")


def describe(outcome: SnapshotOutcome) -> str:
    """Format an outcome in one line, with action, code and correlation id."""
    text = f"{outcome.project}/{outcome.image_id} {format_outcome_name(outcome.outcome)}"
    if outcome.action_id is not None:
        text += f", action {outcome.action_id}"
    return f"{text}: {outcome.message}{format_error_ref(outcome)}" if outcome.message else text


def make_outcome_reason(outcome: SnapshotOutcome) -> Reason:
    """Make the reason of an outcome, to be joined with those of others."""
    name = f"{outcome.project}/{outcome.image_id}"
    ids = {"image_id": outcome.image_id, "action_id": outcome.action_id}
    return make_reason(outcome.outcome, name, outcome, **ids)._replace(alone=describe(outcome))


def select_notable(report: ProtectionReport) -> list[SnapshotOutcome]:
    """Select the errors that no project's error explains, and what was deleted, perhaps by mistake."""
    explained = {(project.project, project.error.code) for project in report.projects if project.error}
    return [
        outcome
        for outcome in report.snapshots
        if (outcome.needs_attention and (outcome.project, outcome.code) not in explained)
        or outcome.outcome == "deleted"
    ]


def describe_project_error(project: ProjectReport) -> str:
    """Format why a project could not be read or changed."""
    error = project.error or ErrorInfo()
    what = "changed" if project.snapshots else "read"
    return f"project '{project.project}' could not be {what}: {error.message}{format_error_ref(error)}"


def describe_without_id(report: ProtectionReport) -> list[str]:
    """Format each listed entry that has no valid id."""
    return [f"project '{project.project}': {error.message}" for project, error in report.without_id]


def format_headline(report: ProtectionReport) -> str:
    """Format how many snapshots of how many projects had which outcome; the total is without exempt ones."""
    counts = report.counts
    total = sum(counts.values()) - counts["deleted"] - counts["exempt"]
    projects = pluralize(len(report.projects) - len(report.duplicates), "project")
    before = counts["already_protected"]
    if report.inaccessible and len(report.inaccessible) == len(report.projects):
        return f"{projects} could not be read"
    if not sum(counts.values()):
        read = len(report.projects) - len(report.inaccessible)
        return format_nothing_found(read, report.label_selector) + _inaccessible_suffix(report)
    named: tuple[OutcomeName, ...] = ("failed", "unfinished", "deleted", "exempt")
    others = [f"{counts[name]} {format_outcome_name(name)}" for name in named if counts[name]]
    if report.dry_run:
        todo, snapshots = counts["would_protect"], pluralize(total, "snapshot")
        text = f"Dry run: would protect {todo} of {snapshots} in {projects}, {before} already protected"
        return ", ".join([text, *others]) + _inaccessible_suffix(report)
    text = f"{before + counts['protected']} of {pluralize(total, 'snapshot')} protected in {projects}"
    text += f" ({counts['protected']} newly protected, {before} already protected)"
    return ", ".join([text, *others]) + _inaccessible_suffix(report)


def _describe_empty(report: ProtectionReport) -> list[str]:
    empty = [one.project for one in report.projects if not (one.snapshots or one.error or one.without_id)]
    return describe_empty(empty, report.label_selector) if report.counts else []


def _inaccessible_suffix(report: ProtectionReport) -> str:
    entries, projects = len(report.without_id), len(report.inaccessible)
    counts = [f"{entries} without a valid id"] if entries else []
    counts += [pluralize(projects, "project")] if projects else []
    return "".join(f", {count} could not be read" for count in counts)


def next_step(report: ProtectionReport) -> str:
    """Return what to do about a run that did not succeed."""
    if report.counts["unfinished"] and not report.counts["failed"] and not report.with_errors:
        return "Run it again in a few minutes; protected snapshots are skipped."
    return "Fix the cause and run again; protected snapshots are skipped."


def format_outcome_name(outcome: OutcomeName) -> str:
    """Format an outcome's name as words."""
    return outcome.replace("_", " ")


def format_error_ref(error: ErrorInfo | SnapshotOutcome) -> str:
    """Format code and correlation id in brackets, with a leading space; empty if there is neither."""
    known = ", ".join(part for part in (error.code, error.correlation_id) if part)
    return f" ({known})" if known else ""
