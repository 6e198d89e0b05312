"""Settings: read from the environment, refused when they are no usable number."""

from dataclasses import fields

import pytest

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(Settings):
        monkeypatch.delenv(f"HETZNER_CLOUD_{field.name.upper()}", raising=False)


def test_every_setting_has_its_default_when_nothing_is_set() -> None:
    assert Settings.from_environment() == Settings()


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_a_setting_is_read_when_its_variable_is_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"HETZNER_CLOUD_{name.upper()}", "7")
    settings = Settings.from_environment()
    assert getattr(settings, name) == 7
    assert type(getattr(settings, name)) is type(getattr(Settings(), name))


def test_a_fraction_is_read_when_it_is_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETZNER_CLOUD_POLL_INTERVAL_SECONDS", "0.05")
    assert Settings.from_environment().poll_interval_seconds == 0.05


def test_no_retry_at_all_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETZNER_CLOUD_RETRIES", "0")
    assert Settings.from_environment().retries == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("REQUEST_TIMEOUT_SECONDS", text) for text in ("", "0", "-1", "soon", "nan", "inf", "1e999")),
        *(("REQUESTS_IN_FLIGHT", text) for text in ("0", "-1", "2.5", "many")),
        *(("RETRIES", text) for text in ("-1", "1.5", "")),
    ],
)
def test_a_setting_is_refused_by_its_name_when_it_is_unusable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"HETZNER_CLOUD_{name}", text)
    with pytest.raises(InvalidArgumentError, match=f"HETZNER_CLOUD_{name} must be a number above zero"):
        Settings.from_environment()
