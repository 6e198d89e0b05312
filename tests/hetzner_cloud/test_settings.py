"""The settings: their defaults, and what the environment may set instead."""

import pytest
from pydantic import ValidationError

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.settings import Settings

NAMES = list(Settings.model_fields)


def set_variable(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> str:
    variable = f"HETZNER_CLOUD_{name.upper()}"
    monkeypatch.setenv(variable, text)
    return variable


def test_the_defaults_hold_when_nothing_is_set() -> None:
    assert Settings.from_environment() == Settings()


def test_the_defaults_are_those_of_the_official_clients() -> None:
    settings = Settings()
    assert (settings.max_retries, settings.retry_base_delay_seconds, settings.retry_max_delay_seconds) == (
        5,
        1,
        60,
    )
    assert (settings.max_concurrent_requests, settings.poll_interval_seconds) == (10, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    set_variable(monkeypatch, name, "7")
    settings = Settings.from_environment()
    value = getattr(settings, name)
    assert value == 7
    assert type(value) is type(getattr(defaults, name))
    assert [other for other in NAMES if getattr(settings, other) != getattr(defaults, other)] == [name]


def test_seconds_may_have_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "retry_base_delay_seconds", "0.01")
    assert Settings.from_environment().retry_base_delay_seconds == 0.01


def test_no_retry_at_all_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "max_retries", "0")
    assert Settings.from_environment().max_retries == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["", " ", "-1", "many", "nan", "inf", "1,5", "9" * 5_000 + "x"], ids=lambda text: text[:9]
)
def test_a_variable_is_rejected_by_its_name_when_it_is(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = set_variable(monkeypatch, name, text)
    with pytest.raises(InvalidArgumentError, match=variable):
        Settings.from_environment()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"max_retries"}))
def test_a_variable_is_rejected_when_it_is_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = set_variable(monkeypatch, name, "0")
    with pytest.raises(InvalidArgumentError, match=f"{variable} must be a number above zero, not '0'"):
        Settings.from_environment()


@pytest.mark.parametrize("name", ["max_concurrent_requests", "max_retries"])
def test_a_count_is_rejected_when_it_is_no_whole_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = set_variable(monkeypatch, name, "2.5")
    with pytest.raises(InvalidArgumentError, match=variable):
        Settings.from_environment()


def test_the_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_retries = 1  # type: ignore[misc]  # mypy knows that they are
