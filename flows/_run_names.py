"""Names of flow runs: what they do, and to which projects."""

from collections.abc import Sequence

from prefect.runtime import flow_run

_MAX_NAMED = 3


def audit_run_name() -> str:
    """Name the audit in progress."""
    return _run_name("audit", flow_run.parameters["projects"])


def protection_run_name() -> str:
    """Name the protection run in progress; a dry run has a name that says so."""
    parameters = flow_run.parameters
    return _run_name("dry-run" if parameters["dry_run"] else "protect", parameters["projects"])


def protection_on_workers_run_name() -> str:
    """Name the fan-out in progress."""
    return f"{protection_run_name()}-on-workers"


def _run_name(verb: str, projects: Sequence[str]) -> str:
    named = "-".join(projects[:_MAX_NAMED]) or "all-projects"
    more = f"-and-{len(projects) - _MAX_NAMED}-more" if len(projects) > _MAX_NAMED else ""
    return f"{verb}-{named}{more}"


def unprotect_run_name() -> str:
    """Name the run in progress that removes protection."""
    return _run_name("unprotect", [flow_run.parameters["project"]])


def prune_run_name() -> str:
    """Name the prune run in progress; a dry run has a name that says so."""
    parameters = flow_run.parameters
    return _run_name("prune-dry-run" if parameters["dry_run"] else "prune", parameters["projects"])
