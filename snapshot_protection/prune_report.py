"""The report of a prune run: one outcome for each snapshot, and what would be, or is, freed. Pure."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.prices import Pricing
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome, PruneOutcomeName
from snapshot_protection.wording import first_ones, pluralize

MOST_SEVERE_FIRST: tuple[PruneOutcomeName, ...] = (
    "left_unprotected",
    "reprotected",
    "failed",
    "pruned",
    "deleted",
    "would_prune",
    "queued",
    "quarantined",
    "in_use",
    "kept",
)
_NAMED_IN_MESSAGE = 5


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProjectPruneReport(_Record):
    """What a run did in one project.

    Attributes:
        outcomes: One for each snapshot that was listed.
        error: Why the project was kept whole, or why the run stopped in it.
        same_as: The project that is the same one, by another token, and in which it is pruned instead.
        restarted: Why the quarantine of all its candidates began in this run; empty if it did not.
        recovered: What a run that is gone had left, and its outcome; a line for each snapshot.
        pricing: None if the prices were not needed, or could not be read.
        note: What else a reader must know, e.g. why the prices could not be read.
    """

    project: str
    outcomes: tuple[PruneOutcome, ...] = ()
    error: ErrorInfo | None = None
    same_as: str = ""
    restarted: str = ""
    recovered: tuple[str, ...] = ()
    pricing: Pricing | None = None
    note: str = ""

    def select(self, *names: PruneOutcomeName) -> list[PruneOutcome]:
        """Select the outcomes with these names."""
        return [one for one in self.outcomes if one.outcome in names]


class PruneReport(_Record):
    """What a run did in all its projects.

    Attributes:
        policy: As reports call it.
        approved_by: Who approved the plan, as stated; empty where no approval was required.
        nothing_to_prune: That no rule of the policy prunes; empty if one does.
    """

    dry_run: bool
    policy: str
    quarantine_days: float
    max_deletions: int
    projects: tuple[ProjectPruneReport, ...] = Field(repr=False)  # asyncio makes the repr of a run's result
    approved_by: str = ""
    nothing_to_prune: str = ""

    @property
    def distinct(self) -> list[ProjectPruneReport]:
        """The projects; of those that are the same one, the first."""
        return [one for one in self.projects if not one.same_as]

    @property
    def outcomes(self) -> list[PruneOutcome]:
        """The outcomes of all snapshots, each once."""
        return [outcome for project in self.distinct for outcome in project.outcomes]

    @property
    def with_errors(self) -> list[ProjectPruneReport]:
        """The projects that were kept whole, or in which the run stopped."""
        return [project for project in self.projects if project.error]

    @property
    def succeeded(self) -> bool:
        """Whether every project could be read, and nothing failed or had to be protected again."""
        every = (outcome for project in self.projects for outcome in project.outcomes)
        return not self.with_errors and not any(outcome.needs_attention for outcome in every)


class SnapshotsNotPrunedError(HetznerCloudError):
    """Something failed, or had to be protected again; `report` has one outcome for each snapshot."""

    def __init__(self, report: PruneReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def format_message(report: PruneReport) -> str:
    """Format the final state's message."""
    counts = Counter(outcome.outcome for outcome in report.outcomes)
    listed = [f"{counts[name]} {name.replace('_', ' ')}" for name in MOST_SEVERE_FIRST if counts[name]]
    text = f"{pluralize(len(report.outcomes), 'snapshot')}: {', '.join(listed) or 'none'}"
    parts = [text, *filter(None, [format_freed(report), report.nothing_to_prune])]
    parts += first_ones([*_errors(report), *_attention(report)], _NAMED_IN_MESSAGE)
    return ". ".join(part.removesuffix(".") for part in parts)


def format_freed(report: PruneReport) -> str:
    """Format how much is freed, and what that saves in a month; empty if it is nothing."""
    names: tuple[PruneOutcomeName, ...] = ("would_prune", "queued") if report.dry_run else ("pruned",)
    freed = [(project, project.select(*names)) for project in report.distinct]
    gigabytes = sum_sizes(one for _, outcomes in freed for one in outcomes)
    if not any(outcomes for _, outcomes in freed):
        return ""
    verb = "would be freed" if report.dry_run else "freed"
    money = _format_money((project, sum_sizes(outcomes)) for project, outcomes in freed if outcomes)
    return f"{gigabytes:.1f} GB {verb}{f', {money} a month' if money else ''}"


def sum_sizes(outcomes: Iterable[PruneOutcome]) -> float:
    """Return what is stored and billed of these, GB; what is not known counts as nothing."""
    return sum(one.size or 0 for one in outcomes)


def describe(outcome: PruneOutcome) -> str:
    """Describe an outcome in one line."""
    code = f" ({outcome.code})" if outcome.code else ""
    error = f": {outcome.message}{code}" if outcome.message else ""
    name = outcome.outcome.replace("_", " ")
    return f"Snapshot {outcome.image_id} of {outcome.project}: {name}{error}"


def describe_project(project: ProjectPruneReport) -> list[str]:
    """Describe what holds for a whole project, a line each."""
    lines = []
    if project.error:
        lines.append(f"Project '{project.project}': {project.error.message}")
    if project.same_as:
        lines.append(
            f"Project '{project.project}' is the same project as '{project.same_as}': all its snapshots "
            "are kept"
        )
    if project.restarted and any(outcome.due for outcome in project.outcomes):
        lines.append(
            f"Project '{project.project}': the quarantine of all snapshots was restarted: {project.restarted}"
        )
    lines += [f"Project '{project.project}': {one}" for one in project.recovered]
    return lines + ([f"Project '{project.project}': {project.note}"] if project.note else [])


def _errors(report: PruneReport) -> list[str]:
    return [line for project in report.with_errors for line in describe_project(project)[:1]]


def _attention(report: PruneReport) -> list[str]:
    found = [outcome for outcome in report.outcomes if outcome.needs_attention]
    return [describe(one) for one in sorted(found, key=lambda one: MOST_SEVERE_FIRST.index(one.outcome))]


def _format_money(freed: Iterable[tuple[ProjectPruneReport, float]]) -> str:
    """Format the sum in each currency; empty if the price of any project is not known."""
    sums: dict[str, Decimal] = {}
    for project, gigabytes in freed:
        if project.pricing is None:
            return ""
        price = project.pricing.image.price_per_gb_month.net
        currency = project.pricing.currency
        sums[currency] = sums.get(currency, Decimal(0)) + Decimal(str(gigabytes)) * price
    return " and ".join(f"{amount:.2f} {currency} (net)" for currency, amount in sums.items())
