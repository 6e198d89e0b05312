"""Whose certificates are trusted."""

import functools
import ssl

import httpx

from hetzner_cloud.errors import InvalidArgumentError


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all connections: making one takes 30 ms; one is enough.

    SSL_CERT_FILE names a private authority's file.

    Raises:
        InvalidArgumentError: The certificates cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        message = f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error}"
        raise InvalidArgumentError(message) from None
