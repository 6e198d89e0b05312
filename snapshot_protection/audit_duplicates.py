"""One project with two tokens: each name gets what the baselines of all know. Pure functions."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from snapshot_protection.audit import baseline_entries
from snapshot_protection.audit_baseline import BaselineEntry
from snapshot_protection.audit_finding import SnapshotFinding, severity
from snapshot_protection.project_audit import ProjectAudit

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
    """Merge two findings of one snapshot; an approved exemption counts by whichever name it was recorded.

    Args:
        earlier: The finding of a listing that began earlier.
        later: The finding of the later one.
        project: The later one's project.
    """
    if later.is_missing and (
        pruned := next((one for one in (later, earlier) if one.finding == "pruned"), None)
    ):
        return pruned
    if later.is_unreadable:
        return later.model_copy(update={"last_known": _last_known(earlier, later)})
    merged = _choose(earlier, later, project)
    merged = merged.model_copy(update={"exempt_by": earlier.exempt_by & later.exempt_by})
    approved = next((one for one in (later, earlier) if one.is_approved), None)
    return _with_approval(merged, approved) if approved else merged


def _last_known(earlier: SnapshotFinding, later: SnapshotFinding) -> BaselineEntry | None:
    """Return what the baseline stores of a snapshot that the later listing could not read."""
    known, seen = later.last_known, baseline_entries([earlier]).get(earlier.image_id)
    if not (known and seen):
        return known or seen
    return (seen if seen.was_protected else known)._replace(
        exempt_by=seen.exempt_by & known.exempt_by, approved=seen.approved or known.approved
    )


def _choose(earlier: SnapshotFinding, later: SnapshotFinding, project: ProjectAudit) -> SnapshotFinding:
    """Take the more severe finding; what only one listing or history saw protected was protected once."""
    if not (earlier.by_rule and later.by_rule):
        earlier, later = _without_rule(earlier), _without_rule(later)
    if _was_protected(later):
        is_outdated = earlier.is_unreadable or not _was_protected(earlier)
        return later if is_outdated else _more_severe(earlier, later)
    if earlier.was_protected and not (earlier.protected or earlier.is_missing):
        return earlier
    if _was_protected(earlier):
        return _removed(later, earlier.last_known, project)
    return later if earlier.is_unreadable else _more_severe(earlier, later)


def _removed(later: SnapshotFinding, known: BaselineEntry | None, project: ProjectAudit) -> SnapshotFinding:
    """Make the finding of a snapshot that only the other token's listing or history has seen protected."""
    is_known = known is not None and known.state == ("missing" if later.is_missing else "removed")
    removed = "missing_protected" if later.is_missing else "newly_unprotected"
    return later.model_copy(
        update={
            "finding": later.finding if later.is_exempt else removed,
            "protected": later.is_missing,
            "since": known.since if known and is_known else project.listed,
            "evidence": known.evidence if known and is_known else "",
            "is_new": not is_known,
        }
    )


def _without_rule(finding: SnapshotFinding) -> SnapshotFinding:
    """Make what it is without the rule that exempts it: a rule counts only if both names have one."""
    if not finding.is_exempt or finding.is_approved:
        return finding
    if finding.is_missing:
        name = "missing_protected" if finding.was_protected else "missing"
    else:
        name = "newly_unprotected" if finding.was_protected else "unprotected"
    reason = f"{finding.reason}, but only by one of the project's names"
    return finding.model_copy(update={"finding": name, "by_rule": False, "reason": reason})


def _with_approval(merged: SnapshotFinding, approved: SnapshotFinding) -> SnapshotFinding:
    """Excuse by an approved exemption what only the other name's requirements do not."""
    if merged.is_unreadable or (merged.protected and not merged.is_missing):
        return merged
    if merged.is_missing and approved.finding == "exemption_expired":
        return merged
    listed = "exemption_expired" if approved.finding == "exemption_expired" else "exempt"
    return merged.model_copy(
        update={
            "finding": "missing_exempt" if merged.is_missing else listed,
            "reason": approved.reason,
            "evidence": approved.evidence or merged.evidence,
            "is_approved": True,
            "approved_until": approved.approved_until,
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
    return finding.was_protected or (known is not None and known.was_protected)
