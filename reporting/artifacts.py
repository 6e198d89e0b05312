"""A run's report on the Artifacts page: one table or more, and a summary that may link to them."""

import asyncio
from collections.abc import Awaitable, Sequence

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.settings import get_current_settings

from records.prefect_errors import describe_prefect_error
from reporting.run_logging import run_logger
from snapshot_protection.markdown import escape_rows
from snapshot_protection.rendered_report import RenderedReport, RenderedSummary, RenderedTable

ProjectAndLink = tuple[str, str]


async def publishing_error(publishing: Awaitable[None]) -> str:
    """Await what publishes, and return why it failed, empty if it did not; it stops no run."""
    try:
        await publishing
    except Exception as error:  # noqa: BLE001 - log and final state have the result, too
        reason = describe_prefect_error(error)
        run_logger().error("The report could not be published: %s", reason)
        return reason
    return ""


async def publish(report: RenderedReport) -> None:
    """Publish a report's tables and summary, concurrently where the summary does not link to the tables."""
    links = asyncio.gather(*(_publish_table(table) for table in report.tables))
    await asyncio.gather(links, _publish_summary(report.summary, links))


async def _publish_table(table: RenderedTable) -> ProjectAndLink:
    artifact_id = await acreate_table_artifact(
        escape_rows(table.rows), key=table.key, description=table.description
    )
    ui_url = get_current_settings().ui_url
    return table.project, f"{ui_url}/artifacts/artifact/{artifact_id}" if ui_url else ""


async def _publish_summary(summary: RenderedSummary, links: Awaitable[Sequence[ProjectAndLink]]) -> None:
    if isinstance(summary.markdown, str):
        markdown = summary.markdown
    else:
        markdown = summary.markdown({project: link for project, link in await links if link})
    await acreate_markdown_artifact(markdown, key=summary.key, description=summary.description)
