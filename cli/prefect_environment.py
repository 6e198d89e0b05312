"""Prefect with the user's settings: invalid ones are named, missing ones get defaults for the shell.

Imports Prefect only when it is used, because with invalid settings that is what fails.
"""

import logging
import os
import re
import ssl
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from cli.endings import CommandFailedError

# Of the temporary server that Prefect starts where PREFECT_API_URL is not set.
_DEFAULTS = {
    "server.analytics_enabled": False,  # in a new database its first request collides with the run's
    "server.ephemeral.startup_timeout_seconds": 120,  # 20 are too few for a new database on a slow machine
}
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_MAX_NAMES = 8


@contextmanager
def prefect_environment() -> Iterator[None]:
    """Import Prefect, and use it with defaults for a run from the shell; what the user has set wins.

    Raises:
        CommandFailedError: A setting or an environment variable is invalid.
    """
    check_network_variables()
    _import_prefect()
    from prefect.settings import temporary_settings

    try:
        with temporary_settings(set_defaults=_DEFAULTS):
            yield
    finally:
        _silence_exit_warnings()


def _silence_exit_warnings() -> None:
    """At exit Prefect's workers warn of what they then do send, and a last heartbeat finds them stopped."""
    for name in ("APILogWorker", "EventsWorker", "prefect.events.utilities"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def forget_environment(home: Path) -> None:
    """Make Prefect use nothing but `home`: no setting, profile, proxy or certificate of the user's.

    For what runs on loopback only, with a separate server.
    """
    for name in list(os.environ):
        if name.startswith("PREFECT_") or name.upper() in {*_CERTIFICATES, *_PROXIES}:
            del os.environ[name]
    os.environ["DO_NOT_TRACK"] = "1"  # nor does Prefect print how to opt out
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_PROFILES_PATH"] = str(home / "profiles.toml")  # over one that a .env file names


def set_variables(names: tuple[str, ...]) -> str:
    """Name those of the variables that are set, in either case."""
    return ", ".join(name for name in os.environ if name.upper() in names)


def check_network_variables() -> None:
    """Check what every HTTP client takes from the environment.

    Raises:
        CommandFailedError: Proxies or certificates are invalid.
    """
    import httpx

    try:
        for address in getproxies().values():
            urlsplit(address if "://" in address else f"http://{address}").port  # noqa: B018 - raises ValueError; others would let it pass
        httpx.Client().close()
    except (OSError, ssl.SSLError) as error:
        names = set_variables(_CERTIFICATES)
        raise CommandFailedError(f"{names}: no certificates can be read there ({_reason(error)}).") from None
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        names = set_variables(_PROXIES)
        raise CommandFailedError(
            f"One of these variables is invalid: {names} ({type(error).__name__})."
        ) from None


def _import_prefect() -> None:
    printed = StringIO()
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")  # with its parents later
    try:
        with redirect_stderr(printed):  # Prefect prints the same error, with the invalid value
            from prefect.settings import get_current_settings, load_profiles

            get_current_settings()
            profiles = load_profiles().names
        import_module("prefect.main")  # sets logging up, with standard error as it is now
    except Exception as error:  # noqa: BLE001 - anything: it is the settings that decide what
        raise CommandFailedError(_describe(error)) from None
    sys.stderr.write(printed.getvalue())
    profile = os.environ.get("PREFECT_PROFILE")
    if profile is not None and profile not in profiles:
        raise CommandFailedError(
            f"PREFECT_PROFILE: there is no profile {profile!r}. Profiles in {_profiles_path()}: "
            f"{', '.join(sorted(profiles)[:_MAX_NAMES])}."
        )


def _describe(error: Exception) -> str:
    """Name the setting; never a value, which may be a secret."""
    details = getattr(error, "errors", None)
    if callable(details) and (invalid := _describe_invalid(error)):
        return f"A setting of Prefect is invalid. {invalid}"
    if field := re.search(r'field "(\w+)"', str(error)):
        return f"A setting of Prefect is invalid. {_variable('', field[1])}: cannot be parsed."
    return f"Prefect cannot be started with its settings ({_reason(error)}). {_origins()}"


def _origins() -> str:
    names = [name for name in os.environ if name.startswith("PREFECT_")]
    variables = ", ".join(names[:_MAX_NAMES]) or "no PREFECT_ variable"
    return (
        f"They are in {_profiles_path()} (PREFECT_PROFILES_PATH or PREFECT_HOME), and in the environment: "
        f"{variables}."
    )


def _describe_invalid(error: Exception) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", getattr(error, "title", "").removesuffix("Settings"))
    title = f"{words}_".upper() if words else ""
    found = [
        f"{_variable(title, str(detail['loc'][0]))}: {detail['msg']}"
        if detail["loc"]
        else f"{detail['msg']}. {_origins()}"
        for detail in error.errors(include_input=False, include_url=False)  # type: ignore[attr-defined]
        if detail["type"] != "default_factory_not_called"  # follows from another one
    ]
    return "; ".join(found[:_MAX_NAMES])


def _variable(group: str, field: str, environment: Mapping[str, str] = os.environ) -> str:
    """Name the variable of a setting, and where it is set; a setting may have several names."""
    name = field.upper() if field.startswith("prefect_") else f"PREFECT_{group}{field.upper()}"
    if name in environment:
        return name
    if similar := [each for each in environment if re.match(rf"PREFECT_.*{field}$", each, re.IGNORECASE)]:
        return ", ".join(similar[:_MAX_NAMES])
    return f"{name} (in {_profiles_path()}, .env or prefect.toml)"


def _profiles_path() -> str:
    home = os.environ.get("PREFECT_HOME", "~/.prefect")
    return os.environ.get("PREFECT_PROFILES_PATH") or f"{home}/profiles.toml"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
