"""A flow of ten minutes' work with Prefect and the official package: two tasks for each snapshot."""

import fastapi.encoders  # noqa: F401 - imported by Prefect in a process's first run, unless a worker made that
from hcloud import Client
from hcloud.actions import BoundAction
from hcloud.images import Image
from prefect import flow, task

from benchmarks.contenders.job import Job, run_job

JOB = Job.from_arguments()
CLIENT = Client(token=JOB.token, api_endpoint=JOB.endpoint)


@task
def change_protection(image_id: int) -> BoundAction:
    """Request one snapshot's protection."""
    return CLIENT.images.change_protection(Image(id=image_id), delete=True)


@task
def wait(action: BoundAction) -> None:
    """Wait for one action."""
    action.wait_until_finished()


@flow
def protect_all() -> None:
    """Protect every snapshot."""
    images = CLIENT.images.get_all(type=["snapshot"], include_deprecated=True)
    todo = [image.id for image in images if image.protection and not image.protection["delete"]]
    wait.map(change_protection.map(todo)).result()


def _run(_job: Job) -> dict[str, str]:
    state = protect_all(return_state=True)
    return {"flow_run": str(state.state_details.flow_run_id), "report": f"{state.name}: {state.message}"}


if __name__ == "__main__":
    run_job({"protect": _run})
