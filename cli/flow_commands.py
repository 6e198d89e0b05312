"""The flows as commands, with the same parameters; `--project` is repeated for several projects."""

from typing import Annotated

from cyclopts import Parameter

from cli.parameter_types import Days, Hours, Json, LabelSelector, Number, PolicyName, Projects, Seconds


def protect(
    *,
    projects: Projects = (),
    label_selector: LabelSelector = "",
    dry_run: bool = False,
    timeout_seconds: Seconds = 900,
    policy: PolicyName = "default",
    json: Json = False,
) -> int:
    """Protect every snapshot from deletion, wait for each resulting action, and verify.

    Exit status 0 only if nothing failed and nothing is unfinished.

    Args:
        projects: the name of a credentials block; may be repeated; without it: every saved one
        label_selector: only snapshots with these labels, e.g. env=prod or protect!=no
        dry_run: only report what would be protected
        timeout_seconds: how long to wait for the actions after the last one was started (default: 900)
        policy: the saved policy that defines which snapshots need no protection (default: default)
        json: print the report as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.flow_run import run_flow
        from cli.prefect_server import ensure_server
        from cli.tables import print_protection
        from flows.protect_snapshots import protect_snapshots
        from snapshot_protection.protection_report import format_message

        ensure_server(for_run=True)
        flow_run = protect_snapshots(
            projects=list(projects),
            label_selector=label_selector,
            dry_run=dry_run,
            timeout_seconds=timeout_seconds,
            policy=policy,
        )
        return run_flow(flow_run, print_protection, format_message, as_json=json)


def audit(
    *,
    projects: Projects = (),
    label_selector: LabelSelector = "",
    grace_hours: Hours = 0,
    fail_on_unprotected: bool = False,
    policy: PolicyName = "default",
    json: Json = False,
) -> int:
    """Report which snapshots are protected from deletion, and what has changed since the last audit.

    Changes nothing. Exit status 0 only if every project could be read.

    Args:
        projects: the name of a credentials block; may be repeated; without it: every saved one
        label_selector: only snapshots with these labels, e.g. env=prod or protect!=no
        grace_hours: list unprotected snapshots younger than this, and do not count them (default: 0)
        fail_on_unprotected: exit status 1 if any snapshot that counts is unprotected
        policy: the name of a saved policy; without one named default, every snapshot must be protected
        json: print the report as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.flow_run import run_flow
        from cli.prefect_server import ensure_server
        from cli.tables import print_audit
        from flows.audit_snapshot_protection import audit_snapshot_protection
        from snapshot_protection.audit_report import format_message

        ensure_server(for_run=True)
        flow_run = audit_snapshot_protection(
            projects=list(projects),
            label_selector=label_selector,
            grace_hours=grace_hours,
            fail_on_unprotected=fail_on_unprotected,
            policy=policy,
        )
        return run_flow(flow_run, print_audit, format_message, as_json=json)


def unprotect(
    *image_ids: Annotated[int, Parameter(metavar="ID")],
    project: Annotated[str, Parameter(metavar="NAME")],
    reason: Annotated[str, Parameter(metavar="TEXT")],
    hours: Hours = 24,
    no_approval: bool = False,
    timeout_seconds: Seconds = 900,
    json: Json = False,
) -> int:
    """Remove the protection of snapshots for a limited time, after a second user has approved it.

    Starts a run of the deployment unprotect-snapshots/with-approval.

    Exit status 0 if it was started; without approval, if nothing failed or is unfinished.

    Args:
        image_ids: the ids of the snapshots
        project: the name of the credentials block
        reason: why, in 10 characters or more; audits report it
        hours: for how long, at most 168 (default: 24)
        no_approval: do it at once, in this process
        timeout_seconds: how long to wait for the actions after the last one was started (default: 900)
        json: print the report as JSON
    """
    from cli.prefect_environment import prefect_environment

    parameters = {
        "project": project,
        "image_ids": list(image_ids),
        "reason": reason,
        "hours": hours,
        "timeout_seconds": timeout_seconds,
    }
    with prefect_environment():
        from cli.prefect_server import ensure_server
        from cli.unprotect import start_unprotecting, unprotect_at_once

        ensure_server(for_run=no_approval)
        command = unprotect_at_once if no_approval else start_unprotecting
        return command(parameters, as_json=json)


def prune(
    *,
    projects: Projects = (),
    policy: PolicyName = "default",
    apply: bool = False,
    quarantine_days: Days = 7,
    max_deletions: Number = 10,
    no_approval: bool = False,
    timeout_seconds: Seconds = 900,
    json: Json = False,
) -> int:
    """Report which snapshots a policy does not keep, and since when; with --apply, delete what is due.

    With --apply, it starts a run of the deployment prune-snapshots/on-demand, which waits for approval.

    Exit status 0 if it was started; otherwise, if every project could be read and nothing failed.

    Args:
        projects: the name of a credentials block; may be repeated; without it: every saved one
        policy: the saved policy whose rules with prune select what may be deleted (default: default)
        apply: delete what is due; without it, nothing is changed
        quarantine_days: how long a snapshot must have been a candidate in every run (default: 7)
        max_deletions: how many snapshots of a project are deleted, at most (default: 10)
        no_approval: with --apply, do it at once, in this process
        timeout_seconds: how long to wait for each action (default: 900)
        json: print the report as JSON
    """
    from cli.prefect_environment import prefect_environment

    parameters = {
        "projects": list(projects),
        "policy": policy,
        "dry_run": not apply,
        "quarantine_days": quarantine_days,
        "max_deletions": max_deletions,
        "timeout_seconds": timeout_seconds,
    }
    is_started_here = no_approval or not apply
    with prefect_environment():
        from cli.prefect_server import ensure_server
        from cli.prune import prune_here, start_pruning

        ensure_server(for_run=is_started_here)
        command = prune_here if is_started_here else start_pruning
        return command(parameters, as_json=json)
