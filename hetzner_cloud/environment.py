"""What environment variables set for the connections of all projects: checked at once, before any request."""

from hetzner_cloud.config import DEFAULT_ENDPOINT
from hetzner_cloud.proxies import find_proxy
from hetzner_cloud.settings import Settings
from hetzner_cloud.tls import tls_context


def check_environment() -> None:
    """Check settings, certificates and the proxy, or each project would report the same error.

    Raises:
        InvalidArgumentError: One of them cannot be used; the message names the variable.
    """
    Settings.from_environment()
    tls_context()
    find_proxy(DEFAULT_ENDPOINT)
