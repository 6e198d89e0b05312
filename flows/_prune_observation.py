"""What was seen of the projects of a prune run, and what it means that two of them are the same one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from blocks.projects import Project
from hetzner_cloud.prices import Pricing
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_plan import PlannedDeletion
from snapshot_protection.prune_report import ProjectPruneReport
from snapshot_protection.quarantine import Quarantine


@dataclass(frozen=True)
class Observation:
    """What was seen of a project, and what is planned in it.

    Attributes:
        project: With its credentials, or the reason why they cannot be used.
        endpoint: Normalized; empty if the project could not be read.
        quarantine: As recorded by this run; None if the project could not be read.
        outcomes: What a dry run reports of each snapshot.
        due: What may be deleted, the oldest first; nothing if the project is kept whole.
        max_deletions: How much of it is to be deleted.
        error: Why the project is kept whole.
        same_as: The project of the run that is the same one, by another token, and is pruned instead.
        also_named: The projects of the run that are the same one, and are not pruned.
    """

    project: Project
    endpoint: str = ""
    quarantine: Quarantine | None = None
    restarted: str = ""
    outcomes: tuple[PruneOutcome, ...] = ()
    due: tuple[PlannedDeletion, ...] = ()
    max_deletions: int = 0
    pricing: Pricing | None = None
    note: str = ""
    error: ErrorInfo | None = None
    same_as: str = ""
    also_named: tuple[str, ...] = ()

    @property
    def planned(self) -> tuple[PlannedDeletion, ...]:
        """What is to be deleted."""
        return self.due[: self.max_deletions]

    @property
    def report(self) -> ProjectPruneReport:
        """Return the project's report, if nothing more happens in it."""
        return ProjectPruneReport(
            project=self.project.name,
            outcomes=self.outcomes,
            error=self.error,
            same_as=self.same_as,
            restarted=self.restarted,
            pricing=self.pricing,
            note=self.note,
        )


def join_names(observed: Sequence[Observation]) -> Iterator[Observation]:
    """Plan in one project of those that are the same one, the first; what any name's rules keep is kept."""
    owners = _Owners()
    claimed = [(one, owners.claim(one)) for one in observed]
    for observation, owner in claimed:
        if owner:
            yield _kept_whole(observation, owner)
        else:
            yield _kept_by_any(
                observation, [other for other, name in claimed if name == observation.project.name]
            )


@dataclass
class _Owners:
    """Which project of the run has listed an image first: at one endpoint an id belongs to one image only."""

    of_images: dict[tuple[str, int], str] = field(default_factory=dict)

    def claim(self, observation: Observation) -> str:
        images = [(observation.endpoint, outcome.image_id) for outcome in observation.outcomes]
        owner = next((self.of_images[one] for one in images if one in self.of_images), "")
        self.of_images |= {
            one: owner or observation.project.name for one in images if one not in self.of_images
        }
        return owner


def _kept_whole(observation: Observation, owner: str) -> Observation:
    reasons = {one.image_id: f"'{owner}' is the same project" for one in observation.outcomes}
    return replace(_without(observation, reasons), same_as=owner)


def _kept_by_any(observation: Observation, others: Sequence[Observation]) -> Observation:
    """Keep what is not a candidate by the rules for another name of the project."""
    kept: dict[int, str] = {}
    for other in others:
        candidates = {one.image_id: one.due is not None for one in other.outcomes}
        text = f"project '{other.project.name}', which is the same one, keeps it"
        kept |= {
            one.image_id: text for one in observation.outcomes if not candidates.get(one.image_id, False)
        }
    names = tuple(other.project.name for other in others)
    return replace(_without(observation, kept), also_named=names)


def _without(observation: Observation, kept: Mapping[int, str]) -> Observation:
    """Take these out of what is due; what they leave room for is planned in their place."""
    due = tuple(one for one in observation.due if one.image_id not in kept)
    planned = {one.image_id for one in due[: observation.max_deletions]}
    outcomes = tuple(_judged_again(one, planned, kept) for one in observation.outcomes)
    return replace(observation, due=due, outcomes=outcomes)


def _judged_again(outcome: PruneOutcome, planned: set[int], kept: Mapping[int, str]) -> PruneOutcome:
    if outcome.due and outcome.image_id in kept:
        reasons = (*outcome.reasons, kept[outcome.image_id])
        return outcome.model_copy(update={"outcome": "kept", "reasons": reasons, "due": None})
    if outcome.outcome == "queued" and outcome.image_id in planned:
        return outcome.model_copy(update={"outcome": "would_prune"})
    return outcome
