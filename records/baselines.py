"""The baselines of audits: what each stores for the next one, one for each project and label selector."""

import asyncio

from prefect import get_run_logger
from prefect.artifacts import Artifact, acreate_markdown_artifact

from snapshot_protection.audit import baseline_entries
from snapshot_protection.audit_baseline import AuditBaseline, project_key
from snapshot_protection.audit_report import AuditReport, ProjectAudit
from snapshot_protection.wording import pluralize

_KIND = "snapshot-audit-baseline"


async def load_baseline(project: str, label_selector: str) -> AuditBaseline | None:
    """Load the last audit's baseline; None before the first audit, or if it is unreadable (logged)."""
    stored = await Artifact.aget(project_key(_KIND, project, label_selector))
    if stored is None:
        return None
    baseline = AuditBaseline.load(str(stored.data))
    if baseline is None:
        get_run_logger().warning(
            "Project '%s': what the last audit kept cannot be read. Starting anew.", project
        )
    return baseline


async def save_baselines(report: AuditReport) -> None:
    """Save the baseline of each project that could be read and has one; the others keep their last one."""
    projects = (project for project in report.projects if project.keeps_history and not project.error)
    await asyncio.gather(*(_save_baseline(project, report) for project in projects))


async def _save_baseline(project: ProjectAudit, report: AuditReport) -> None:
    baseline = AuditBaseline(report.audited, baseline_entries(project.findings), project.trend)
    text = (
        f"The audit saw {pluralize(len(baseline.snapshots), 'snapshot')}. The next one compares with what is "
        "kept here, unseen; without it, the next one is a first audit."
    )
    await acreate_markdown_artifact(
        f"{text}\n\n{baseline.dump()}\n",
        key=project_key(_KIND, project.project, report.label_selector),
        description=f"What the next audit of {project.project} compares with.",
    )
