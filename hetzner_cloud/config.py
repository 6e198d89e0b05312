"""Which project a client connects to: frozen and hashable, so that it can key a pool of clients."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from hetzner_cloud._version import __version__
from hetzner_cloud.validation import validate_endpoint, validate_reserve, validate_token

DEFAULT_ENDPOINT = "https://api.hetzner.cloud/v1"
_DEFAULT_PORTS = {"https": 443, "http": 80}


def normalize_endpoint(endpoint: str) -> str:
    """Return what is the same for all spellings of an endpoint: of its host, its default port, its end."""
    url = urlsplit(endpoint)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    is_default = url.port in {None, {"https": 443, "http": 80}.get(url.scheme)}
    return f"{url.scheme}://{host}{'' if is_default else f':{url.port}'}{url.path.rstrip('/')}"


@dataclass(frozen=True)
class ClientConfig:
    """The connection to one project; one that exists is valid.

    Attributes:
        token: The project's API token.
        endpoint: The API's base URL, without a slash at its end.
        rate_limit_reserve: The share of the request budget that is left to the project's other users.
        credentials_label: What messages call the credentials, e.g. `the token of project 'prod'`.
        user_agent: The User-Agent header.

    Raises:
        InvalidArgumentError: The token, the endpoint or the reserve is invalid.
    """

    token: SecretStr
    endpoint: str = DEFAULT_ENDPOINT
    rate_limit_reserve: float = 0.1
    credentials_label: str = "this project"
    user_agent: str = f"hetzner-cloud-client/{__version__}"

    def __post_init__(self) -> None:
        """Validate, and normalize the endpoint."""
        validate_token(self.token.get_secret_value())
        validate_reserve(self.rate_limit_reserve)
        object.__setattr__(self, "endpoint", validate_endpoint(self.endpoint))
