"""What a protection run tells people: counts, a message, a table, a summary. Pure functions of outcomes."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.sanitize import escape_markdown, pluralize
from snapshot_protection.embedding import embed, extract
from snapshot_protection.outcomes import ErrorInfo, OutcomeName, SnapshotOutcome

_WORST_FIRST: tuple[OutcomeName, ...] = (
    "failed",
    "unfinished",
    "deleted",
    "would_protect",
    "protected",
    "already_protected",
)
COLUMNS = (
    "project",
    "snapshot",
    "outcome",
    "code",
    "action",
    "description",
    "server",
    "message",
    "correlation id",
)
MAX_TABLE_ROWS = 2_000
_NAME = "protection-report"
_NAMED_IN_MESSAGE = 5
_NAMED_IN_SUMMARY = 20


class ProjectReport(BaseModel):
    """What became of one project's snapshots.

    Attributes:
        error: Why its snapshots could not be listed or, where there are some, none of them changed.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    snapshots: tuple[SnapshotOutcome, ...] = ()
    error: ErrorInfo | None = None


class ProtectionReport(BaseModel):
    """What a run did, with exactly one outcome for each snapshot."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    projects: tuple[ProjectReport, ...]

    def dump(self) -> str:
        """Pack it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json(exclude_defaults=True))

    @classmethod
    def load(cls, page: str) -> "ProtectionReport | None":
        """Unpack what `dump` has packed somewhere in a page; None if there is nothing that can be read."""
        try:
            return cls.model_validate_json(extract(_NAME, page) or "")
        except ValidationError:
            return None

    @property
    def snapshots(self) -> list[SnapshotOutcome]:
        """All outcomes, those that need a person first."""
        outcomes = [outcome for project in self.projects for outcome in project.snapshots]
        return sorted(
            outcomes, key=lambda outcome: (severity(outcome.outcome), outcome.project, outcome.image_id)
        )

    @property
    def counts(self) -> Counter[str]:
        """How many snapshots had each outcome."""
        return Counter(outcome.outcome for project in self.projects for outcome in project.snapshots)

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed and nothing is unfinished."""
        return not (self.counts["failed"] or self.counts["unfinished"] or self.inaccessible)

    @property
    def inaccessible(self) -> list[ProjectReport]:
        """The projects whose snapshots could not be listed."""
        return [project for project in self.projects if project.error and not project.snapshots]

    @property
    def with_errors(self) -> list[ProjectReport]:
        """The projects that have trouble as a whole."""
        return [project for project in self.projects if project.error]


def severity(outcome: OutcomeName) -> int:
    """Order outcomes: those that need a person come first."""
    return _WORST_FIRST.index(outcome)


class SnapshotsNotProtectedError(HetznerCloudError):
    """A run ended and not every snapshot is protected; `report` tells which."""

    def __init__(self, report: ProtectionReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def format_message(report: ProtectionReport) -> str:
    """Say in one line what a run came to and, where a person is needed, what to do."""
    parts = [_headline(report)]
    parts += [_describe_project(project) for project in report.with_errors]
    named = _to_look_at(report)
    parts += [describe(outcome) for outcome in named[:_NAMED_IN_MESSAGE]]
    if len(named) > _NAMED_IN_MESSAGE:
        parts.append(f"and {len(named) - _NAMED_IN_MESSAGE} more")
    return "; ".join(parts) + ("" if report.succeeded else f". {_next_step(report)}")


def describe(outcome: SnapshotOutcome) -> str:
    """Say in one line what became of a snapshot, with what is needed to look into it."""
    name = f"{outcome.project}/{outcome.image_id}"
    action = f", action {outcome.action_id}" if outcome.action_id is not None else ""
    if not outcome.message:
        return f"{name} {_words(outcome.outcome)}{action}"
    return f"{name} {_words(outcome.outcome)}{action}: {outcome.message}{format_error_ref(outcome)}"


def _to_look_at(report: ProtectionReport) -> list[SnapshotOutcome]:
    """ErrorInfo that its project's does not explain, then what is gone: nobody may have meant it to be."""
    explained = {(project.project, project.error.code) for project in report.projects if project.error}
    return [
        outcome
        for outcome in report.snapshots
        if (outcome.needs_attention and (outcome.project, outcome.code) not in explained)
        or outcome.outcome == "deleted"
    ]


def _describe_project(project: ProjectReport) -> str:
    error = project.error or ErrorInfo()
    what = "changed" if project.snapshots else "read"
    return f"project '{project.project}' could not be {what}: {error.message}{format_error_ref(error)}"


def build_table(report: ProtectionReport) -> list[dict[str, str | int]]:
    """Make the rows of the table, one for each snapshot, worst first, 2,000 at most."""
    rows = [_unread_row(project) for project in report.inaccessible]
    rows += [build_row(outcome) for outcome in report.snapshots[:MAX_TABLE_ROWS]]
    return rows


def render_summary(report: ProtectionReport) -> str:
    """Make the markdown summary of a run."""
    lines = [f"## {_headline(report)}", "", *_projects_table(report.projects)]
    named = _to_look_at(report)
    if named or report.with_errors:
        lines += ["", "### To look at", ""]
        lines += [f"- {escape_markdown(_describe_project(project))}" for project in report.with_errors]
        lines += [f"- {escape_markdown(describe(outcome))}" for outcome in named[:_NAMED_IN_SUMMARY]]
        lines += [] if report.succeeded else ["", _next_step(report)]
    if len(report.snapshots) > MAX_TABLE_ROWS:
        lines += ["", f"The table shows the first {MAX_TABLE_ROWS} of {len(report.snapshots)} snapshots."]
    return "\n".join(lines) + "\n"


def _headline(report: ProtectionReport) -> str:
    counts = report.counts
    total = sum(counts.values()) - counts["deleted"]
    projects = pluralize(len(report.projects), "project")
    before = counts["already_protected"]
    if report.inaccessible and len(report.inaccessible) == len(report.projects):
        return f"{projects} could not be read"
    if not sum(counts.values()):
        return f"No snapshot found in {projects}" + _unread_text(report)
    if report.dry_run:
        todo, snapshots = counts["would_protect"], pluralize(total, "snapshot")
        text = f"Dry run: would protect {todo} of {snapshots} in {projects}"
        return f"{text}, {before} protected already" + _unread_text(report)
    text = f"{before + counts['protected']} of {pluralize(total, 'snapshot')} protected in {projects}"
    text += f" ({counts['protected']} now, {before} before)"
    others = [f"{counts[name]} {name}" for name in ("failed", "unfinished", "deleted") if counts[name]]
    return ", ".join([text, *others]) + _unread_text(report)


def _unread_text(report: ProtectionReport) -> str:
    return (
        f", {pluralize(len(report.inaccessible), 'project')} could not be read" if report.inaccessible else ""
    )


def _next_step(report: ProtectionReport) -> str:
    if report.counts["unfinished"] and not report.counts["failed"] and not report.inaccessible:
        return "Run it again in a few minutes: what is protected by then costs nothing."
    return "Mend the cause, then run it again: what is protected costs nothing."


def _words(outcome: OutcomeName) -> str:
    return outcome.replace("_", " ")


def format_error_ref(error: ErrorInfo | SnapshotOutcome) -> str:
    """Add what is needed to look into it, in brackets: code and correlation id, where there are any."""
    known = ", ".join(part for part in (error.code, error.correlation_id) if part)
    return f" ({known})" if known else ""


def build_row(outcome: SnapshotOutcome) -> dict[str, str | int]:
    """Make a table's row of an outcome; the keys are the columns."""
    cells = (
        outcome.project,
        outcome.image_id,
        outcome.outcome,
        outcome.code,
        outcome.action_id if outcome.action_id is not None else "",
        outcome.description,
        outcome.server,
        outcome.message,
        outcome.correlation_id,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _unread_row(project: ProjectReport) -> dict[str, str | int]:
    error = project.error or ErrorInfo()
    known: dict[str, str | int] = {
        "project": project.project,
        "outcome": "failed",
        "code": error.code,
        "message": error.message,
        "correlation id": error.correlation_id,
    }
    return {name: known.get(name, "") for name in COLUMNS}


def _projects_table(projects: Sequence[ProjectReport]) -> list[str]:
    counts = [Counter(snapshot.outcome for snapshot in project.snapshots) for project in projects]
    shown = [name for name in _WORST_FIRST if any(count[name] for count in counts)]
    lines = [
        f"| {' | '.join(['project', 'snapshots', *map(_words, shown)])} |",
        f"| --- |{' ---: |' * (1 + len(shown))}",
    ]
    for project, count in zip(projects, counts, strict=True):
        cells = [escape_markdown(project.project), str(count.total()), *(str(count[name]) for name in shown)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
