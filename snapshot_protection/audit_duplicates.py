"""Projects that are the same one, by two tokens: each gets what the baselines of all know. Pure functions."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from snapshot_protection.audit import SnapshotFinding, baseline_entries, severity
from snapshot_protection.audit_baseline import BaselineEntry
from snapshot_protection.audit_report import ProjectAudit

_Image = tuple[str, int]


def merge_duplicates(projects: Sequence[ProjectAudit], endpoints: Mapping[str, str]) -> list[ProjectAudit]:
    """Merge the findings of projects that are the same one; the first of them is counted, the others name it.

    At one endpoint an image's id belongs to one image only, so one listed image in common is enough.

    Args:
        projects: The projects' audits.
        endpoints: By project, the endpoint, normalized.
    """
    merged = {}
    for group in _groups(projects, endpoints):
        findings = _merge(group)
        without_id = max((project.without_id for project in group), key=len)  # the same entries, listed twice
        for project in group:
            owner = group[0].project if project is not group[0] else ""
            audit = project.with_findings(findings, duplicate_of=owner)
            merged[project.project] = audit.model_copy(update={"without_id": () if owner else without_id})
    return [merged.get(project.project, project) for project in projects]


def _groups(projects: Sequence[ProjectAudit], endpoints: Mapping[str, str]) -> list[list[ProjectAudit]]:
    """Group the projects that are the same one; those that are alone are in no group."""
    groups: list[tuple[set[_Image], list[ProjectAudit]]] = []
    owners: dict[_Image, int] = {}
    for project in projects:
        images = _listed(project, endpoints)
        found = sorted({owners[image] for image in images if image in owners})
        group = found[0] if found else len(groups)
        if not found:
            groups.append((set(), []))
        for other in found[1:]:  # this project shows that they are the same one
            images |= groups[other][0]
            groups[group][1].extend(groups[other][1])
            groups[other] = (set(), [])
        groups[group][0].update(images)
        groups[group][1].append(project)
        owners |= dict.fromkeys(images, group)
    return [members for _, members in groups if len(members) > 1]


def _listed(project: ProjectAudit, endpoints: Mapping[str, str]) -> set[_Image]:
    endpoint = endpoints.get(project.project, "")
    return {(endpoint, finding.image_id) for finding in project.findings if not finding.is_missing}


def _merge(group: Iterable[ProjectAudit]) -> deque[SnapshotFinding]:
    in_order = sorted(group, key=lambda project: (project.listed is not None, project.listed))
    merged: dict[int, SnapshotFinding] = {}
    for project in in_order:
        for later in project.findings:
            earlier = merged.get(later.image_id)
            merged[later.image_id] = _merge_pair(earlier, later, project) if earlier else later
    return deque(sorted(merged.values(), key=severity))


def _merge_pair(earlier: SnapshotFinding, later: SnapshotFinding, project: ProjectAudit) -> SnapshotFinding:
    """Take the more severe finding; what only one listing or history saw protected was protected once.

    Args:
        earlier: The finding of a listing that began earlier.
        later: The finding of the later one.
        project: The later one's project.
    """
    if later.is_unreadable:
        return later.model_copy(update={"last_known": _last_known(earlier, later)})
    if _was_protected(later):
        is_outdated = earlier.is_unreadable or not _was_protected(earlier)
        return later if is_outdated else _more_severe(earlier, later)
    if earlier.finding == "newly_unprotected":
        return earlier
    if _was_protected(earlier):
        return _removed(later, earlier.last_known, project)
    return later if earlier.is_unreadable else _more_severe(earlier, later)


def _last_known(earlier: SnapshotFinding, later: SnapshotFinding) -> BaselineEntry | None:
    """Return what the baseline stores of a snapshot that the later listing could not read."""
    known, seen = later.last_known, baseline_entries([earlier]).get(earlier.image_id)
    return seen if seen and (seen.was_protected or not known) else known


def _removed(later: SnapshotFinding, known: BaselineEntry | None, project: ProjectAudit) -> SnapshotFinding:
    """Make the finding of a snapshot that only the other token's listing or history has seen protected."""
    is_known = known is not None and known.state == ("missing" if later.is_missing else "removed")
    return later.model_copy(
        update={
            "finding": "missing_protected" if later.is_missing else "newly_unprotected",
            "protected": later.is_missing,
            "since": known.since if known and is_known else project.listed,
            "evidence": known.evidence if known and is_known else "",
            "is_new": not is_known,
        }
    )


def _more_severe(earlier: SnapshotFinding, later: SnapshotFinding) -> SnapshotFinding:
    first, second = sorted((later, earlier), key=severity)
    if first.finding != second.finding:
        return first
    since = [one.since for one in (first, second) if one.since]
    return first.model_copy(
        update={
            "since": min(since, default=None),
            "evidence": first.evidence or second.evidence,
            "is_new": first.is_new and second.is_new,
        }
    )


def _was_protected(finding: SnapshotFinding) -> bool:
    known = finding.last_known
    return finding.protected or finding.protection_removed or (known is not None and known.was_protected)
