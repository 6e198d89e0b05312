"""The proxy between this machine and the endpoint, as the environment names it."""

import os
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable
from hetzner_cloud.tls import tls_context

_VARIABLES = {"https": ("https_proxy", "HTTPS_PROXY"), "all": ("all_proxy", "ALL_PROXY")}
_MAX_PORT = 65_535
_EXAMPLE = "a URL such as http://proxy.example:3128"


@dataclass(frozen=True)
class ProxyRoute:
    """A proxy that requests go through.

    Attributes:
        proxy: The proxy, with user and password where it has them.
        variable: Where it is named.
    """

    proxy: httpx.Proxy
    variable: str

    def __str__(self) -> str:
        """Name it without user and password."""
        return f"the proxy {printable(str(self.proxy.url).rstrip('/'))} ({self.variable})"


def find_proxy(endpoint: str) -> ProxyRoute | None:
    """Find the proxy to an endpoint, None if there is none; plain http goes to this machine, through none.

    Raises:
        InvalidArgumentError: It cannot be used; the message names the variable, not the value.
    """
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or _is_excluded(parts.netloc):
        return None
    known = urllib.request.getproxies()
    scheme = next((scheme for scheme in _VARIABLES if known.get(scheme)), None)
    return _route(known[scheme], _variable(scheme)) if scheme else None


def _is_excluded(netloc: str) -> bool:
    names = urllib.request.getproxies().get("no", "").split(",")
    return "*" in {name.strip() for name in names} or bool(urllib.request.proxy_bypass(netloc))


def _variable(scheme: str) -> str:
    set_here = (name for name in _VARIABLES[scheme] if os.environ.get(name))
    return next(set_here, "the proxy settings of this system")


def _route(text: str, variable: str) -> ProxyRoute:
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
        # Its certificate is checked as the endpoint's is.
        proxy = httpx.Proxy(url, ssl_context=tls_context() if url.scheme == "https" else None)
        httpx.AsyncHTTPTransport(verify=tls_context(), proxy=proxy)
    except ImportError:
        reason = "SOCKS proxies need the package socksio: `pip install httpx[socks]`"
    except (httpx.InvalidURL, ValueError):  # their messages can contain the password
        reason = f"it must be {_EXAMPLE}"
    else:
        if _has_host(url):
            return ProxyRoute(proxy, variable)
        reason = f"it has no valid host and port, it must be {_EXAMPLE}"
    raise InvalidArgumentError(f"{variable} names no proxy that can be used: {reason}.")


def _has_host(url: httpx.URL) -> bool:
    """Check what httpx does not: a connection to it would fail each time."""
    return bool(url.host) and "%" not in url.host and (url.port is None or 0 < url.port <= _MAX_PORT)
