"""Removing protection from the shell: with approval by a run of the deployment, without in this process."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from cli.flow_run import run_flow
from cli.tables import make_console, print_failure, print_unprotect
from flows._unprotect_project import UnprotectRequest
from flows.unprotect_snapshots import unprotect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from records.prefect_errors import describe_prefect_error
from snapshot_protection.unprotect_report import format_message

_DEPLOYMENT = "unprotect-snapshots/with-approval"


def unprotect_at_once(parameters: Mapping[str, Any]) -> int:
    """Remove protection without approval; returns the exit status."""
    return run_flow(unprotect_snapshots(**parameters, approval=False), print_unprotect, format_message)


def start_unprotecting(parameters: Mapping[str, Any]) -> int:
    """Start the run that waits for approval; returns the exit status, 0 if it was started."""
    try:
        UnprotectRequest.validate(**parameters)
        run = asyncio.run(arun_deployment(_DEPLOYMENT, parameters=dict(parameters), timeout=0))
    except InvalidArgumentError as error:
        return print_failure(error)
    except ObjectNotFound:
        return print_failure(f"There is no deployment {_DEPLOYMENT}: run `make deploy`.")
    except httpx.HTTPError as error:
        return print_failure(f"The run could not be started: {describe_prefect_error(error)}.")
    ui_url = get_current_settings().ui_url
    link = f": {ui_url}/runs/flow-run/{run.id}" if ui_url else "."
    console = make_console()
    console.print(f"Started flow run '{run.name}' ({run.id}).", soft_wrap=True, highlight=False)
    console.print(
        f"It plans, then waits as Suspended until someone else approves it with Resume on its page{link}",
        soft_wrap=True,
        highlight=False,
    )
    return 0
