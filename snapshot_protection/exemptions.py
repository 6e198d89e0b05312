"""Approved exemptions: which snapshots may be unprotected until when, why, and who approved it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from hetzner_cloud.models import MAX_ID
from snapshot_protection.embedding import embed, extract

_NAME = "snapshot-exemptions"
MAX_HOURS = 168
_NEVER = datetime.max.replace(tzinfo=UTC)


class Exemption(BaseModel):
    """A snapshot that may be unprotected for a time.

    Attributes:
        until: When it must be protected again.
        reason: Why it may be unprotected.
        approved_by: Who approved it, as stated; empty where no approval was required.
        flow_run_id: The run that removed its protection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
    until: AwareDatetime
    reason: str
    approved_by: str
    flow_run_id: UUID

    def __str__(self) -> str:
        """Describe it for a report."""
        approval = f", approved by {self.approved_by} (as stated)" if self.approved_by else ""
        return f"until {self.until:%Y-%m-%d %H:%M} UTC: {self.reason}{approval}"


class ExemptionRecord(BaseModel):
    """The exemptions of one run and one project, as they are stored.

    Attributes:
        withdrawn: Those that the run has stored and that hold no longer: their snapshots stayed protected.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    exemptions: tuple[Exemption, ...] = ()
    withdrawn: tuple[Exemption, ...] = ()

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json())

    @classmethod
    def load(cls, page: str) -> "ExemptionRecord | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        stored = extract(_NAME, page)
        try:
            return cls.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            return None


def merge(records: Iterable[ExemptionRecord], *, latest: datetime = _NEVER) -> dict[int, Exemption]:
    """Return the exemption of each snapshot by its id: of several, the one that lasts longest.

    The order of the records means nothing: one that is withdrawn is the same in every field.

    Args:
        records: Of all runs.
        latest: None can last longer: one that does was recorded by a clock that was ahead, or by no run.
    """
    records = list(records)
    withdrawn = {exemption for record in records for exemption in record.withdrawn}
    merged: dict[int, Exemption] = {}
    for exemption in (one for record in records for one in record.exemptions if one not in withdrawn):
        if exemption.until > latest:
            continue
        known = merged.get(exemption.image_id)
        if known is None or known.until < exemption.until:
            merged[exemption.image_id] = exemption
    return merged


def unexpired(exemptions: Mapping[int, Exemption], now: datetime) -> dict[int, Exemption]:
    """Return the exemptions that hold now."""
    return {image_id: exemption for image_id, exemption in exemptions.items() if now < exemption.until}
