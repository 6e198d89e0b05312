"""Starting a run of a deployment from the shell, which then waits for approval."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from cli.tables import make_console, print_failure
from hetzner_cloud.errors import InvalidArgumentError
from records.prefect_errors import describe_prefect_error


def start_run(deployment: str, parameters: Mapping[str, Any], validate: Callable[[], object]) -> int:
    """Start a run; returns the exit status, 0 if it was started.

    Args:
        deployment: Of which deployment.
        parameters: The run's parameters.
        validate: Raises InvalidArgumentError if they are not usable.
    """
    try:
        validate()
        run = asyncio.run(arun_deployment(deployment, parameters=dict(parameters), timeout=0))
    except InvalidArgumentError as error:
        return print_failure(error)
    except ObjectNotFound:
        return print_failure(f"There is no deployment {deployment}: run `make deploy`.")
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
