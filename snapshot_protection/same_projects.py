"""One project with several tokens in a report: each snapshot counts once. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import SnapshotOutcome, severity
from snapshot_protection.wording import first_ones

_NAMED_IN_MESSAGE = 5
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Reported(Protocol):
    """What is needed of a project's report."""

    @property
    def project(self) -> str: ...
    @property
    def snapshots(self) -> tuple[SnapshotOutcome, ...]: ...
    @property
    def error(self) -> ErrorInfo | None: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def finished(self) -> datetime | None: ...
    @property
    def clock(self) -> int: ...


def find_duplicates(projects: Sequence[Reported]) -> dict[str, str]:
    """Find the projects that have a snapshot in common with one before, and name that one."""
    owners: dict[tuple[str, int], str] = {}
    duplicates = {}
    for project in projects:
        images = _images(project)
        owner = next((owners[image] for image in images if image in owners), "")
        if owner:
            duplicates[project.project] = owner
        owners |= {image: owners.get(image, owner or project.project) for image in images}
    return duplicates


def describe_duplicates(duplicates: Mapping[str, str]) -> list[str]:
    """Format which projects are the same one, five at most."""
    pairs = [f"'{name}' is the same project as '{owner}'" for name, owner in duplicates.items()]
    return first_ones(pairs, _NAMED_IN_MESSAGE)


def merge_outcomes(projects: Iterable[Reported]) -> list[SnapshotOutcome]:
    """Return one outcome for each snapshot: what the project that finished last has seen.

    Which one did is not known of two that finished by different clocks: then the more severe outcome counts.
    """
    merged: dict[tuple[str, int], tuple[SnapshotOutcome, Reported]] = {}
    for project in sorted(projects, key=lambda one: one.finished or _LONG_AGO):
        for image, outcome in zip(_images(project), project.snapshots, strict=True):
            earlier = merged.get(image)
            merged[image] = _merge(*earlier, outcome, project) if earlier else (outcome, project)
    return [outcome for outcome, _ in merged.values()]


def _merge(
    earlier: SnapshotOutcome, before: Reported, later: SnapshotOutcome, after: Reported
) -> tuple[SnapshotOutcome, Reported]:
    """Let what was seen last decide; where both agree, the one that says more about this run's change."""
    if _is_exempt_by_one_name(earlier, later):
        is_later = later.outcome != "exempt"
    elif before.clock != after.clock:
        is_later = _rank(later, after.error) < _rank(earlier, before.error)
    elif _is_explained(later, after.error):
        is_later = not earlier.needs_attention
    else:
        is_later = not (earlier.outcome == "protected" and later.outcome == "already_protected")
    return (later, after) if is_later else (earlier, before)


def _is_exempt_by_one_name(*outcomes: SnapshotOutcome) -> bool:
    """Return whether one is exempt, and the other name of the project requires its protection."""
    is_required = any(one.needs_attention or one.outcome == "would_protect" for one in outcomes)
    return is_required and any(one.outcome == "exempt" for one in outcomes)


def _rank(outcome: SnapshotOutcome, error: ErrorInfo | None) -> tuple[int, bool]:
    return severity(outcome.outcome), _is_explained(outcome, error)


def _is_explained(outcome: SnapshotOutcome, error: ErrorInfo | None) -> bool:
    """Return whether it failed because of an error that is reported with its project."""
    return outcome.outcome == "failed" and error is not None and error.code == outcome.code


def _images(project: Reported) -> list[tuple[str, int]]:
    """Return what tells its snapshots from all others; without an endpoint, only its own name does."""
    place = project.endpoint or f"project {project.project}"
    return [(place, outcome.image_id) for outcome in project.snapshots]
