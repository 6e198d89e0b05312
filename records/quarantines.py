"""Since when snapshots have been candidates for pruning: one record for each project and policy."""

from prefect.client.orchestration import get_client

from records.record_versions import add_version, read_last_versions, read_versions
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.quarantine_format import (
    QuarantineHistory,
    dump_quarantine,
    quarantine_key,
    read_quarantine,
)
from snapshot_protection.wording import pluralize

_VERSIONS_IN_A_PAGE = 5
_MAX_VERSIONS = 25  # as many runs may overlap


async def load_quarantine_history(project: str, policy: str) -> QuarantineHistory:
    """Load what earlier runs know, from as many stored versions as that takes.

    If it takes more than are read, it is lost: one that is not read could be the most cautious.
    """
    key = quarantine_key(project, policy)
    async with get_client() as client:
        last = await read_last_versions(client, [key])
        found = {
            one.id: one for one in last.values()
        }  # by id: a version that is written now shifts the others
        for offset in range(0, _MAX_VERSIONS if found else 0, _VERSIONS_IN_A_PAGE):
            page = await read_versions(client, [key], limit=_VERSIONS_IN_A_PAGE, offset=offset)
            found |= {one.id: one for one in page}
            if (
                len(page) < _VERSIONS_IN_A_PAGE
                or read_quarantine([*found.values()], project, policy).is_whole
            ):
                break
        else:
            if found:
                return QuarantineHistory(versions=frozenset(found))
    return read_quarantine([*found.values()], project, policy)


async def save_quarantine(quarantine: Quarantine) -> None:
    """Store an observation as a new version, which belongs to no flow run."""
    count = pluralize(len(quarantine.since), "candidate")
    page = f"{count} for pruning by policy {quarantine.policy}.\n\n{dump_quarantine(quarantine)}\n"
    key = quarantine_key(quarantine.project, quarantine.policy)
    description = f"Since when snapshots of {quarantine.project} have been candidates for pruning."
    async with get_client() as client:
        await add_version(client, key, page, description=description)
