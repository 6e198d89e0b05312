"""Starting a run of a deployment from the shell, which then waits for approval."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from rich.text import Text

from cli.json_output import print_json
from cli.tables import make_console, print_failure
from hetzner_cloud.errors import InvalidArgumentError
from records.prefect_errors import describe_prefect_error


def start_run(
    deployment: str, parameters: Mapping[str, Any], validate: Callable[[], object], *, as_json: bool = False
) -> int:
    """Start a run; returns the exit status, 0 if it was started.

    Args:
        deployment: Of which deployment.
        parameters: The run's parameters.
        validate: Raises InvalidArgumentError if they are not usable.
        as_json: Whether to print the result as JSON.
    """
    try:
        validate()
        run = asyncio.run(arun_deployment(deployment, parameters=dict(parameters), timeout=0))
    except InvalidArgumentError as error:
        return print_failure(error, as_json=as_json)
    except ObjectNotFound:
        return print_failure(f"There is no deployment {deployment}: run `make deploy`.", as_json=as_json)
    except httpx.HTTPError as error:
        reason = f"The run could not be started: {describe_prefect_error(error)}."
        return print_failure(reason, as_json=as_json)
    _print_started(run, as_json=as_json)
    return 0


def _print_started(run: FlowRun, *, as_json: bool) -> None:
    ui_url = get_current_settings().ui_url
    page = f"{ui_url}/runs/flow-run/{run.id}" if ui_url else ""
    started = f"Started flow run '{run.name}' ({run.id})."
    if as_json:
        flow_run = {"id": str(run.id), "name": run.name, "page": page}
        print_json(succeeded=True, message=started, fields={"flow_run": flow_run})
        return
    waits = "It plans, then waits as Suspended until a second user approves it with Resume on its page"
    console = make_console()
    console.print(Text(started), soft_wrap=True)
    console.print(Text(f"{waits}: {page}" if page else f"{waits}."), soft_wrap=True)
