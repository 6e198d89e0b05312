"""The actions that removed protection, and what they show of expired exemptions. Pure functions."""

from collections.abc import Iterable, Sequence
from typing import Any

from hetzner_cloud.models import Action
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_finding import SnapshotFinding


def lacks_evidence(finding: SnapshotFinding) -> bool:
    """Return whether the action that removed its protection is still to be looked up.

    Of an exempt one, only if its removal is new. Where an exemption has expired, each time: it may have been
    protected again since, and unprotected without approval.
    """
    if finding.protection_removed:
        return not finding.evidence
    if finding.finding == "exemption_expired":
        return True
    return finding.is_exempt and finding.is_new and finding.was_protected


def with_evidence(findings: Sequence[SnapshotFinding], actions: Iterable[Action]) -> list[SnapshotFinding]:
    """Add the last change of protection to each snapshot whose protection was removed, where none is known.

    Args:
        findings: The findings of one project.
        actions: The project's actions, newest first; one that failed changed nothing.
    """
    last: dict[int | None, Action] = {}
    for action in actions:
        if action.command == "change_protection" and not action.failed:
            last.setdefault(action.image_id, action)
    return [
        _with_action(finding, last[finding.image_id])
        if lacks_evidence(finding) and finding.image_id in last
        else finding
        for finding in findings
    ]


def _with_action(finding: SnapshotFinding, action: Action) -> SnapshotFinding:
    changed: dict[str, Any] = {"evidence": _describe(action)}
    if _is_after_exemption(finding, action):
        changed["finding"] = "missing_protected" if finding.is_missing else "newly_unprotected"
        changed |= {"protected": finding.is_missing, "is_new": True, "is_approved": False, "reason": ""}
        changed["since"] = finding.since or action.started
    return finding.model_copy(update=changed)


def _is_after_exemption(finding: SnapshotFinding, action: Action) -> bool:
    """Return whether its protection was changed when the exemption had expired, so not by approval."""
    until = None if finding.by_rule else finding.approved_until
    return bool(until and action.started and action.succeeded and action.started > until)


def _describe(action: Action) -> str:
    started = f" of {action.started:%Y-%m-%d %H:%M:%S} UTC" if action.started else ""
    return f"action {action.id}{started}" + ("" if action.succeeded else f", {printable(action.status)}")
