"""A run's report on the Artifacts page: one table or more, and a summary that may link to them."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

from records.prefect_errors import describe_prefect_error
from snapshot_protection.markdown import escape_rows
from snapshot_protection.rendered_report import RenderedReport, RenderedSummary, RenderedTable

_MAX_CONCURRENT_REQUESTS = 50
_ProjectAndLink = tuple[str, str]


async def publish(report: RenderedReport) -> Mapping[str, str]:
    """Publish a report's tables and summary, concurrently where the summary does not link to the tables.

    Returns:
        By project, why its table could not be published; of a table of all projects, and of the summary, the
        project is empty. It stops neither the run nor the others: log and final state have the result, too.
    """
    unpublished: dict[str, str] = {}
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)

    async def publish_table(table: RenderedTable) -> _ProjectAndLink:
        try:
            async with limiter:
                return table.project, await _publish_table(table)
        except Exception as error:  # noqa: BLE001 - it is returned
            unpublished[table.project] = describe_prefect_error(error)
            return table.project, ""

    async def publish_summary() -> None:
        try:
            await _publish_summary(report.summary, links)
        except Exception as error:  # noqa: BLE001 - as above
            unpublished[""] = describe_prefect_error(error)

    links = asyncio.gather(*(publish_table(table) for table in report.tables))
    await asyncio.gather(links, publish_summary())
    return unpublished


async def _publish_table(table: RenderedTable) -> str:
    artifact_id = await acreate_table_artifact(
        escape_rows(table.rows), key=table.key, description=table.description
    )
    ui_url = get_current_settings().ui_url
    return f"{ui_url}/artifacts/artifact/{artifact_id}" if ui_url else ""


async def _publish_summary(summary: RenderedSummary, links: Awaitable[Sequence[_ProjectAndLink]]) -> None:
    if isinstance(summary.markdown, str):
        markdown = summary.markdown
    else:
        markdown = summary.markdown({project: link for project, link in await links if link})
    text = markdown + _link_to_run()
    await acreate_markdown_artifact(text, key=summary.key, description=summary.description)


def _link_to_run() -> str:
    """Return a paragraph that leads from the artifact, which successive runs publish, to the run."""
    ui_url = get_current_settings().ui_url  # flow_run.ui_url is "None/…" without one
    if not ui_url:
        return ""
    return f"\nPublished by [this flow run]({ui_url}/runs/flow-run/{flow_run.id}).\n"
