"""From a failed connection to an error that names the proxy and the certificates."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import TransportError
from hetzner_cloud.proxies import ProxyRoute
from hetzner_cloud.redaction import Redactor
from hetzner_cloud.rejections import advice_on_endpoint
from hetzner_cloud.settings import Settings
from hetzner_cloud.tls import trusted_certificates

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
_TLS_ALERT = "x15\\x03"  # how some servers that expect TLS respond to plain HTTP; others just hang up


@dataclass(frozen=True)
class ConnectionErrors:
    """Describes the failures of one project's connections."""

    config: ClientConfig
    settings: Settings
    route: ProxyRoute | None
    redactor: Redactor

    def describe(self, request: str, error: Exception) -> TransportError:
        """Return the error of a request without a response, or without a whole one."""
        host = urlsplit(self.config.endpoint).netloc
        reason = self.redactor.redact_text(error) or type(error).__name__
        via = f" through {self.route}" if self.route else ""
        match error:
            case TimeoutError() | httpx.TimeoutException():
                seconds = self.settings.request_timeout_seconds
                return TransportError(f"{request}: no response from {host} in {seconds:g} s{via}", "timeout")
            case httpx.ConnectError():
                message = f"{request}: {host} is unreachable{via}: {reason}{self._advice(reason)}"
                return TransportError(message, "unreachable")
            case _:
                advice = self._advice(reason) or self._advice_on_http(error)
                message = f"{request}: connection to {host}{via} lost: {reason}{advice}"
                return TransportError(message, "connection_lost")

    def _advice(self, reason: str) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return (
                f". The trusted certificates are those of {trusted_certificates()}. If a private "
                "authority signs "
                "for the endpoint, or a proxy inspects TLS, name its certificates with SSL_CERT_FILE"
            )
        if any(sign in reason for sign in _NOT_TLS) or _TLS_ALERT in reason:
            return f". One side speaks TLS, the other does not{advice_on_endpoint(self.config)}"
        return ""

    def _advice_on_http(self, error: Exception) -> str:
        is_http = self.config.endpoint.startswith("http://")
        is_hung_up = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
        return ". If it expects TLS, the endpoint must start with https://" if is_http and is_hung_up else ""
