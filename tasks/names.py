"""Names of task runs: what is done, and in which project."""

from prefect.runtime import task_run

from blocks.credentials import HetznerCloudCredentials


def name_of_task_run(what: str) -> str:
    """Name the task run under way by what it does and, where its credentials are a saved block's, to whom."""
    credentials: HetznerCloudCredentials = task_run.parameters["credentials"]
    return f"{what}-of-{credentials.project}" if credentials.project else what
