"""The official package: change all, then wait for each; or change and wait one by one."""

from hcloud import Client
from hcloud.images import BoundImage

from benchmarks.contenders.job import Job, run_job


def _unprotected(job: Job) -> list[BoundImage]:
    client = Client(token=job.token, api_endpoint=job.endpoint)
    images = client.images.get_all(type=["snapshot"], include_deprecated=True)
    return [image for image in images if image.protection and not image.protection["delete"]]


def _all_then_wait(job: Job) -> None:
    for action in [image.change_protection(delete=True) for image in _unprotected(job)]:
        action.wait_until_finished()


def _one_by_one(job: Job) -> None:
    for image in _unprotected(job):
        image.change_protection(delete=True).wait_until_finished()


if __name__ == "__main__":
    run_job({"all then wait": _all_then_wait, "one by one": _one_by_one})
