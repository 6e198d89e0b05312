"""What is loaded of the versions that overlapping runs have stored."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from records.quarantines import load_quarantine_history, save_quarantine
from snapshot_protection.quarantine import Quarantine

pytestmark = pytest.mark.usefixtures("engine")


async def test_more_versions_than_are_read_restart_the_quarantine() -> None:
    name, now = f"prune-{uuid4().hex[:8]}", datetime.now(UTC)
    since = now - timedelta(days=30)
    await save_quarantine(Quarantine(name, name, now, {}))  # seen to be none, by the run that stored first
    for _ in range(25):
        await save_quarantine(Quarantine(name, name, now, {7: since}))
    history = await load_quarantine_history(name, name)
    known = history.quarantine
    assert known is None or not known.is_due(7, 7, now)
