"""Whose certificates are trusted."""

import functools
import os
import ssl
from pathlib import Path

import httpx

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all connections: making one takes 30 ms; one is enough.

    SSL_CERT_FILE names a private authority's file, SSL_CERT_DIR a folder of such files.

    Raises:
        InvalidArgumentError: The certificates cannot be read; the message names the variable.
    """
    try:
        _require_folder()
        return httpx.create_ssl_context()
    except ssl.SSLError:  # an OSError, too
        reason = "it holds no certificate in PEM format"
    except (OSError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or str(error))
    raise InvalidArgumentError(f"{trusted_certificates()} cannot be used: {reason}.")


def trusted_certificates() -> str:
    """Name where the trusted certificates come from."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := os.environ.get(name):
            return f"{name}={printable(value)}"
    return "the package certifi"


def _require_folder() -> None:
    """Check what OpenSSL does not: a folder that is missing would make each connection fail."""
    folders = os.environ.get("SSL_CERT_DIR", "")
    if folders and not os.environ.get("SSL_CERT_FILE"):
        known = [Path(folder) for folder in folders.split(os.pathsep) if folder]
        if not any(folder.is_dir() and any(folder.iterdir()) for folder in known):
            raise NotADirectoryError(0, "there is no such folder, or it is empty")
