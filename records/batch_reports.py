"""The reports of batches, which the run that started them puts together."""

from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.sorting import ArtifactSort

from snapshot_protection.protection_report import ProtectionReport


async def find_report(client: PrefectClient, flow_run_id: UUID) -> ProtectionReport | None:
    """Find the last report that a batch's flow run published; None if there is none that can be read.

    A flow run that is started again, e.g. by its infrastructure, publishes one each time.
    """
    wanted = ArtifactFilter.model_validate(
        {"flow_run_id": {"any_": [flow_run_id]}, "type": {"any_": ["markdown"]}}
    )
    found = await client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)
    reports = (ProtectionReport.load(str(artifact.data)) for artifact in found)
    return next((report for report in reports if report), None)
