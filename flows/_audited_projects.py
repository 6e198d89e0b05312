"""Which projects an audit covers, and the record by which the next one notices that one is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from blocks.projects import Project, load_projects
from records.known_projects import RecordLostError, load_known_projects, update_known_projects
from records.prefect_errors import describe_prefect_error
from snapshot_protection.known_projects import KnownProjects, merge

_NOTHING_TO_COMPARE = (
    "first audit of all projects (or their record is lost): a project that was removed is not reported"
)


@dataclass(frozen=True)
class AuditedProjects:
    """The projects of an audit.

    Attributes:
        projects: With their credentials, or the reason why they cannot be used.
        known: What the next audit of all projects is to know; None if this one is not of all.
        note: Why they could not be compared with those of earlier audits, empty if they were.
        is_record_unreadable: Whether earlier audits have recorded theirs, and that could not be read.
    """

    projects: list[Project]
    known: KnownProjects | None = None
    note: str = ""
    is_record_unreadable: bool = False

    async def record(self) -> str:
        """Record them for the next audit, each time: Prefect may delete old artifacts.

        Returns:
            What the report should say about it, empty if they were compared and recorded.
        """
        if not (mine := self.known):
            return ""
        try:  # merged: an operator may have confirmed a removal, or another audit ended, since they were read
            await update_known_projects(lambda recorded: merge([recorded, mine]))
        except Exception as error:  # noqa: BLE001 - what the audit found matters more
            failed = f"the list of projects could not be recorded: {describe_prefect_error(error)}"
            return "; ".join(part for part in (self.note, failed) if part)
        return self.note


async def load_audited_projects(names: Sequence[str], *, deployed: bool) -> AuditedProjects:
    """Load the named projects or, without a name, all; then those that earlier audits covered are expected.

    Raises:
        InvalidArgumentError: There is no block with any of these names; or none at all, and none is expected.
    """
    if names:
        return AuditedProjects(await load_projects(names, deployed=deployed))
    started = datetime.now(UTC)
    known, unreadable = await _load_known()
    projects = await load_projects(deployed=deployed, known=known.expected if known else {})
    saved = [project.name for project in projects if project.is_saved]
    note = unreadable or ("" if known else _NOTHING_TO_COMPARE)
    seen = (known or KnownProjects()).with_seen(saved, started)
    return AuditedProjects(projects, seen, note, is_record_unreadable=bool(unreadable))


async def _load_known() -> tuple[KnownProjects | None, str]:
    """Load what earlier audits have recorded, None if that is nothing, or why it cannot be read."""
    try:
        return await load_known_projects(), ""
    except RecordLostError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - what is saved is audited
        reason = describe_prefect_error(error)
    return None, f"the earlier list of projects cannot be read: {reason}"
