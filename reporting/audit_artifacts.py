"""What an audit shows on the Artifacts page, and what it keeps there for the next one."""

import asyncio
from hashlib import sha256

from prefect.artifacts import Artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.settings import get_current_settings

from hetzner_cloud.sanitize import escape_rows, pluralize
from reporting.run_logging import run_logger
from snapshot_protection.audit import remember
from snapshot_protection.audit_baseline import AuditBaseline
from snapshot_protection.audit_pages import build_table, render_summary
from snapshot_protection.audit_report import AuditReport, ProjectAudit
from tasks.prefect_errors import log_unpublished


async def load_baseline(project: str, label_selector: str) -> AuditBaseline | None:
    """Find what the last audit of a project saw through the same label selector; None before the first."""
    kept = await Artifact.aget(_key("snapshot-audit-baseline", project, label_selector))
    if kept is None:
        return None
    memory = AuditBaseline.load(str(kept.data))
    if memory is None:
        run_logger().warning("Project '%s': what the last audit kept cannot be read. Starting anew.", project)
    return memory


async def publish_audit(report: AuditReport) -> str:
    """Publish each project's table and the summary.

    Returns:
        Why they could not be published, empty if they were.
    """
    try:
        links = await asyncio.gather(*(_publish_table(project, report) for project in report.projects))
        await acreate_markdown_artifact(
            render_summary(report, dict(link for link in links if link[1])),
            key="snapshot-audit-summary",
            description="What the audit found, over all projects.",
        )
    except Exception as error:  # noqa: BLE001 - what was found is in the log and the final state too
        return log_unpublished(error)
    return ""


async def store_baselines(report: AuditReport) -> str:
    """Store what the next audit compares with, only after this one's findings are published and emitted.

    Returns:
        Why it could not be stored, empty if it was; then the next audit finds the same once more.
    """
    try:
        await asyncio.gather(*(_keep(project, report) for project in report.projects if not project.error))
    except Exception as error:  # noqa: BLE001 - as above
        return log_unpublished(error)
    return ""


async def _publish_table(project: ProjectAudit, report: AuditReport) -> tuple[str, str]:
    artifact_id = await acreate_table_artifact(
        escape_rows(build_table(project, now=report.audited)),
        key=_key("audited-snapshots", project.project, report.label_selector),
        description=f"The snapshots of {project.project}, the worst first.",
    )
    ui_url = get_current_settings().ui_url
    return project.project, f"{ui_url}/artifacts/artifact/{artifact_id}" if ui_url else ""


async def _keep(project: ProjectAudit, report: AuditReport) -> None:
    memory = AuditBaseline(report.audited, remember(project.findings), project.trend)
    text = (
        f"The audit saw {pluralize(len(memory.snapshots), 'snapshot')}. The next one compares with what is "
        "kept here, unseen; without it, the next one is a first audit."
    )
    await acreate_markdown_artifact(
        f"{text}\n\n{memory.dump()}\n",
        key=_key("snapshot-audit-baseline", project.project, report.label_selector),
        description=f"What the next audit of {project.project} compares with.",
    )


def _key(kind: str, project: str, label_selector: str) -> str:
    """A key, so a history, for each project and label selector: different snapshots cannot be compared."""
    scope = f"-{sha256(label_selector.encode()).hexdigest()[:8]}" if label_selector else ""
    return f"{kind}-{project}{scope}"
