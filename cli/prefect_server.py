"""The Prefect server of a command: found, started where there is none, and tried before anything else."""

import asyncio
import os
import ssl
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import prefect
from prefect.client.base import ServerType
from prefect.client.orchestration import PrefectClient, get_client
from prefect.context import get_settings_context
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import Settings, get_current_settings, temporary_settings

from cli.endings import CommandFailedError
from cli.prefect_environment import set_variables
from cli.temporary_server import start_temporary_server

_EXAMPLE = "http://127.0.0.1:4200/api"
_FEW_RETRIES = {"client.max_retries": 2}  # of Prefect's 5, which take a minute
_TIMEOUT = httpx.Timeout(30, connect=10)  # seconds
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_LOOK = f"Does PREFECT_API_URL end with /api, e.g. {_EXAMPLE}?"
_FIRST_STEPS = f"""there is no API token yet. Three ways to continue:
  to try it on one project:   export HCLOUD_TOKEN=…, and run it again, first with --dry-run
  for all your projects:      prefect --no-prompt server start; in another terminal
                              export PREFECT_API_URL={_EXAMPLE}, and for each
                              project: hetzner-snapshots credentials save NAME
  without a Hetzner account:  hetzner-snapshots demo"""


def ensure_server(*, start: bool = True, for_run: bool = False) -> None:
    """Try the Prefect server at PREFECT_API_URL, or start a temporary one.

    Args:
        start: Whether a temporary server will do.
        for_run: Whether it is for a run, which needs an API token.

    Raises:
        CommandFailedError: There is no usable server; names the variable to set.
    """
    settings = get_current_settings()
    _check_certificates(settings.api.ssl_cert_file)
    if url := settings.api.url:
        validate_api_url(url)
    elif not start:
        raise CommandFailedError(f"PREFECT_API_URL is not set: export PREFECT_API_URL={_EXAMPLE}")
    elif settings.server.ephemeral.enabled:
        if for_run and _is_fresh(settings):
            raise CommandFailedError(_FIRST_STEPS)
        start_temporary_server()
    else:
        raise CommandFailedError(
            f"PREFECT_API_URL is not set, and PREFECT_SERVER_ALLOW_EPHEMERAL_MODE is off. Set "
            f"PREFECT_API_URL={_EXAMPLE} to use a server, or "
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE=true to start a temporary one for each run."
        )
    asyncio.run(_try_server())


def _check_certificates(file: str | None) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # an invalid file is an ssl.SSLError, which is one
        raise CommandFailedError(
            f"PREFECT_API_SSL_CERT_FILE: no certificates can be read there ({error.strerror})."
        ) from None


def _is_fresh(settings: Settings) -> bool:
    """Return whether nothing can be saved, neither on a server nor in the database of a temporary one."""
    own_database = "connection_url" in settings.server.database.model_fields_set
    return not (own_database or os.environ.get("HCLOUD_TOKEN") or (settings.home / "prefect.db").exists())


def validate_api_url(url: str) -> None:
    """Check what can be checked of PREFECT_API_URL without a request.

    Raises:
        CommandFailedError: It is invalid, or contains a password, which is never printed.
    """
    try:
        parts = urlsplit(url)
        scheme = httpx.URL(url).scheme  # urlsplit ignores a blank before it
        valid = bool(scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    except (ValueError, httpx.InvalidURL):
        valid = False
    if "@" in url:
        raise CommandFailedError(
            "PREFECT_API_URL contains a user name or a password, which Prefect would show in logs. Remove "
            "them from it, and set PREFECT_API_AUTH_STRING=user:password instead."
        )
    if not valid:
        raise CommandFailedError(
            f"PREFECT_API_URL is not a valid URL: {url!r}. It has a scheme, a host and a port, e.g. "
            f"{_EXAMPLE}"
        )


async def _try_server() -> None:
    try:
        with temporary_settings(set_defaults=_FEW_RETRIES):
            async with get_client(httpx_settings={"timeout": _TIMEOUT}) as client:
                await _check_version(client)
                await client.read_work_pools(limit=1)
    except PrefectHTTPStatusError as error:
        raise CommandFailedError(_describe_rejection(error.response.status_code)) from None
    except (httpx.LocalProtocolError, UnicodeEncodeError):
        raise CommandFailedError(
            "PREFECT_API_KEY or PREFECT_CLIENT_CUSTOM_HEADERS has a character that no HTTP header may have."
        ) from None
    except (httpx.TransportError, OSError) as error:
        raise CommandFailedError(_describe_connection(error)) from None
    except ValueError as error:  # no JSON, or not that of Prefect
        raise CommandFailedError(
            f"{_server()} is not a Prefect API ({type(error).__name__}). {_LOOK}"
        ) from None


async def _check_version(client: PrefectClient) -> None:
    if client.server_type == ServerType.CLOUD:
        return
    version, ours = str(await client.api_version()), prefect.__version__
    if int(version.partition(".")[0]) != int(ours.partition(".")[0]):
        raise CommandFailedError(
            f"{_server()} has Prefect {version}, this machine has Prefect {ours}: the major versions must "
            "be the same. Upgrade the older one, or set PREFECT_API_URL to another server."
        )


def _describe_rejection(status: int) -> str:
    returned = f"{_server()} returned {status}"
    api = get_current_settings().api
    if status not in {401, 403}:
        return f"{returned}. {_describe_proxies() or _LOOK}"
    if get_current_settings().connected_to_cloud:
        return f"{returned}: PREFECT_API_KEY is {'invalid' if api.key else 'not set'}."
    if api.auth_string:
        return f"{returned}: PREFECT_API_AUTH_STRING is wrong."
    hint = " PREFECT_API_KEY is for Prefect Cloud only." if api.key else ""
    return f"{returned}: PREFECT_API_AUTH_STRING is not set. Get it from the server's operator.{hint}"


def _describe_connection(error: Exception) -> str:
    text = f"Cannot reach {_server()} ({_reason(error)})."
    if proxies := _describe_proxies():
        return f"{text} {proxies}"
    if "SSL" in str(error):
        return (
            f"{text} Does it speak https, with a certificate that is trusted here? If not, PREFECT_API_URL "
            "starts with http://; PREFECT_API_SSL_CERT_FILE names the certificates of a private authority."
        )
    return f"{text} Is PREFECT_API_URL right, and the server running?"


def _reason(error: Exception) -> str:
    """Name an error without what it quotes, which may contain a password of a proxy."""
    ours = "SSL" in str(error) and isinstance(error, httpx.ConnectError)
    return f"{type(error).__name__}, SSL" if ours else type(error).__name__


def _describe_proxies() -> str:
    parts = urlsplit(get_current_settings().api.url or "")
    proxies = getproxies()
    used = parts.scheme in proxies or "all" in proxies
    if not used or proxy_bypass(parts.hostname or ""):
        return ""
    return f"A proxy is used: {set_variables(_PROXIES)}. List hosts that need none in NO_PROXY."


def _server() -> str:
    """Name the server without secrets, and where its address is from."""
    context = get_settings_context()
    url = context.settings.api.url
    if not url:
        return "the temporary Prefect server"
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return f"the Prefect server at {shown}"
