"""Names of task runs: what is done, and in which project."""

from typing import Any

from prefect.runtime import task_run
from prefect.utilities.annotations import BaseAnnotation

from blocks.credentials import HetznerCloudCredentials


def task_run_name_for(what: str) -> str:
    """Name the current task run by what it does and, where its credentials are a saved block's, to whom."""
    credentials: HetznerCloudCredentials = task_run.parameters["credentials"]
    return f"{what}-{credentials.project}" if credentials.project else what


def parameter(name: str) -> Any:  # noqa: ANN401 - whatever the task run was given
    """Get a parameter of the current task run, out of the annotation that it has while it is named."""
    value = task_run.parameters[name]
    return value.unwrap() if isinstance(value, BaseAnnotation) else value
