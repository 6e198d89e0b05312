"""A deployment as prefect.yaml describes it, and as a server has it."""

from typing import Any
from uuid import uuid4

from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from deploy.plan import DeploymentSpec, ScheduleSpec

CRON = CronSchedule(cron="15 4 * * *", timezone="UTC")


SPEC = DeploymentSpec(
    name="flow/nightly",
    short_name="nightly",
    always={"version": "1", "parameter_openapi_schema": {"type": "object", "properties": {}}},
    work_pool="pool",
    tags=["ours"],
    parameters={"hours": 1},
    job_variables={"env": {"A": "1"}},
    schedules=[ScheduleSpec("nightly", CRON)],
)


def schedule(slug: str | None, cron: CronSchedule = CRON, **fields: Any) -> DeploymentSchedule:
    return DeploymentSchedule(slug=slug, schedule=cron, **fields)


def deployed(**fields: Any) -> DeploymentResponse:
    created = {
        "id": uuid4(),
        "name": "nightly",
        "flow_id": uuid4(),
        "version": "1",
        "parameter_openapi_schema": {"type": "object", "properties": {}},
        "tags": ["ours"],
        "parameters": {"hours": 1},
        "job_variables": {"env": {"A": "1"}},
        "work_pool_name": "pool",
        "work_queue_name": "default",
        "schedules": [schedule("nightly")],
        "labels": {},
        "enforce_parameter_schema": True,
    }
    return DeploymentResponse.model_validate(created | fields)
