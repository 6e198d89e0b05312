"""Pruning from the shell: with approval by a run of the deployment, without in this process."""

from collections.abc import Mapping
from typing import Any

from cli.deployment_run import start_run
from cli.flow_run import run_flow
from cli.tables import print_prune
from flows.prune_snapshots import prune_snapshots, validate_parameters
from snapshot_protection.prune_report import format_message

_DEPLOYMENT = "prune-snapshots/on-demand"


def prune_here(parameters: Mapping[str, Any], *, as_json: bool = False) -> int:
    """Run in this process, dry or without approval; returns the exit status."""
    return run_flow(
        prune_snapshots(**parameters, approval=False), print_prune, format_message, as_json=as_json
    )


def start_pruning(parameters: Mapping[str, Any], *, as_json: bool = False) -> int:
    """Start the run that waits for approval; returns the exit status, 0 if it was started."""
    limits = [parameters[name] for name in ("quarantine_days", "max_deletions", "timeout_seconds")]
    return start_run(
        _DEPLOYMENT, {**parameters, "approval": True}, lambda: validate_parameters(*limits), as_json=as_json
    )
