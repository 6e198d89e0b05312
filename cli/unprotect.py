"""Removing protection from the shell: with approval by a run of the deployment, without in this process."""

from collections.abc import Mapping
from typing import Any

from cli.deployment_run import start_run
from cli.flow_run import run_flow
from cli.tables import print_unprotect
from flows._unprotect_project import UnprotectRequest
from flows.unprotect_snapshots import unprotect_snapshots
from snapshot_protection.unprotect_report import format_message

_DEPLOYMENT = "unprotect-snapshots/with-approval"


def unprotect_at_once(parameters: Mapping[str, Any], *, as_json: bool = False) -> int:
    """Remove protection without approval; returns the exit status."""
    return run_flow(
        unprotect_snapshots(**parameters, approval=False), print_unprotect, format_message, as_json=as_json
    )


def start_unprotecting(parameters: Mapping[str, Any], *, as_json: bool = False) -> int:
    """Start the run that waits for approval; returns the exit status, 0 if it was started."""
    return start_run(
        _DEPLOYMENT, parameters, lambda: UnprotectRequest.validate(**parameters), as_json=as_json
    )
