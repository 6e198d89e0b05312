"""The settings' defaults hold in these tests, whatever the environment sets."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_setting_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HETZNER_CLOUD_"):
            monkeypatch.delenv(name)
