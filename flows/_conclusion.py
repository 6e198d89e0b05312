"""How runs finish: the report is logged and published, and decides the state."""

from collections.abc import Mapping

from prefect.states import Completed, Failed

from flows._run_context import is_subflow_run, returned_state
from reporting.artifacts import publish
from reporting.run_logging import log_report, run_logger
from snapshot_protection.protection_report import ProtectionReport, SnapshotsNotProtectedError
from snapshot_protection.rendering import render_protection_report

_MAX_NAMED = 5


async def finish_run(report: ProtectionReport) -> ProtectionReport:
    """Finish a protection run with its report: logged, published, and the state's data."""
    rendered = render_protection_report(report, is_whole=not is_subflow_run())
    log_report(rendered)
    message = with_unpublished(rendered.message, await publish(rendered))
    if report.succeeded:
        return returned_state(Completed(message=message, data=report))
    return returned_state(Failed(message=message, data=SnapshotsNotProtectedError(report)))


def with_unpublished(
    message: str,
    unpublished: Mapping[str, str],
    unstored: Mapping[str, str] | None = None,
    unemitted: Mapping[str, str] | None = None,
) -> str:
    """Append to a final state's message what could not be published, emitted or stored, and log it.

    Args:
        message: The message.
        unpublished: By project, why its table could not be published; without a project, why the report.
        unstored: By project, why its baseline could not be stored.
        unemitted: By project, why its event could not be emitted.
    """
    parts = [message.removesuffix(".")] if unpublished or unstored or unemitted else [message]
    if "" in unpublished:
        parts.append(f"The report could not be published: {unpublished['']}")
    elif unpublished:
        parts.append(f"The tables of {_name(unpublished)} could not be published: {_first(unpublished)}")
    again = "so the next audit reports the same again"
    if unemitted:
        parts.append(f"The events of {_name(unemitted)} could not be emitted, {again}: {_first(unemitted)}")
    if unstored:
        parts.append(f"The baselines of {_name(unstored)} could not be stored, {again}: {_first(unstored)}")
    for part in parts[1:]:
        run_logger().error("%s", part)
    return ". ".join(parts)


def _name(failures: Mapping[str, str]) -> str:
    named = [f"'{project}'" for project in list(failures)[:_MAX_NAMED]]
    more = [f"{len(failures) - _MAX_NAMED} more"] if len(failures) > _MAX_NAMED else []
    return ", ".join([*named, *more])


def _first(failures: Mapping[str, str]) -> str:
    return next(iter(failures.values()))
