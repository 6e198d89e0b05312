"""Baselines as 0.4.0 stored them, and stored pages of today."""

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from snapshot_protection.audit_baseline import AuditBaseline, describe_baseline
from snapshot_protection.audit_baseline_format import StoredPage, dump_baseline
from snapshot_protection.embedding import embed


def stored(version: str, baseline: AuditBaseline) -> StoredPage:
    return StoredPage(
        version, f"For you.\n\n{dump_baseline(baseline)}\n", describe_baseline(baseline.project)
    )


def stored_by_0_4_0(
    version: str, protected: Mapping[int, bool], audited: datetime, /, *, project: str = "prod", **fields: Any
) -> StoredPage:
    """Make what 0.4.0 stored; `fields` replace some of it."""
    ids = sorted(protected)
    kept = {
        "version": 1,
        "audited": audited.timestamp(),
        "ids": [later - earlier for earlier, later in pairwise([0, *ids])],
        "protected": "".join("01"[protected[image_id]] for image_id in ids),
        "descriptions": [f"snapshot {image_id}" for image_id in ids],
        "trend": [[1, 2]],
    }
    text = json.dumps(kept | fields, separators=(",", ":"), ensure_ascii=False)
    description = f"The baseline for the next audit of {project}."
    return StoredPage(version, f"The audit saw 3 snapshots.\n\n{embed('audit-memory', text)}\n", description)
