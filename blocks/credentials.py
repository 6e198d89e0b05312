"""Where a project's token is stored, and how it becomes a client."""

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Self

from prefect.client.schemas.objects import BlockDocument
from pydantic import ConfigDict, Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from blocks.named_block import NamedBlock
from hetzner_cloud import __version__
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.client_pool import pooled_client
from hetzner_cloud.config import DEFAULT_ENDPOINT, ClientConfig
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.validation import validate_endpoint, validate_reserve, validate_token

ENVIRONMENT = "environment"
"""What a run calls the project of `HCLOUD_TOKEN`; no saved block may have this name."""

_PREFIX = "Value error, "  # of Pydantic, before the message of each ValueError
_USER_AGENT = f"hetzner-snapshot-protection/{__version__}"


class HetznerCloudCredentials(NamedBlock):
    """Keeps the API token of one Hetzner Cloud project; the block's name is the project's name."""

    _block_type_name = "Hetzner Cloud Credentials"
    _block_type_slug = "hetzner-cloud-credentials"
    _description = "Stores the API token of one Hetzner Cloud project; its name is the project's name."
    _documentation_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://docs.hetzner.com/cloud/api/getting-started/generating-api-token/"
    )
    _code_example = """
    ```python
    from blocks.credentials import HetznerCloudCredentials

    credentials = HetznerCloudCredentials.load("BLOCK_NAME")
    ```
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    token: SecretStr = Field(
        title="API token",
        description=(
            "The project's API token (Hetzner Console, Security, API tokens): "
            "Read & Write to protect snapshots, Read is enough for audits."
        ),
    )
    endpoint: str = Field(
        default=DEFAULT_ENDPOINT,
        title="Endpoint",
        description="The API's base URL. Leave it as it is, unless you try things out against a sandbox.",
    )
    rate_limit_reserve: float = Field(
        default=0.1,
        title="Rate limit reserve",
        description=(
            "The share of the project's request budget that is left to its other users, "
            "such as Terraform or a Kubernetes cluster: from 0 to below 1."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Block's own signature
        """Validate; an error of it does not contain the token."""
        try:
            super().__init__(*args, **kwargs)
        except ValidationError as error:
            rejected = _without_input(error)
        else:
            return
        raise rejected  # outside of the handler: the error that holds the token is dropped

    @field_validator("token")
    @classmethod
    def _validate_token(cls, token: SecretStr) -> SecretStr:
        validate_token(token.get_secret_value())
        return token

    @field_validator("endpoint")
    @classmethod
    def _validate_endpoint(cls, endpoint: str) -> str:
        return validate_endpoint(endpoint)

    @field_validator("rate_limit_reserve")
    @classmethod
    def _validate_reserve(cls, share: float) -> float:
        return validate_reserve(share)

    @classmethod
    def check_name(cls, name: str) -> None:
        """Raise an InvalidArgumentError if no block may be saved under a name."""
        if name == ENVIRONMENT:
            raise InvalidArgumentError(
                f"The name '{ENVIRONMENT}' is reserved for the project of HCLOUD_TOKEN. Use another name."
            )

    @classmethod
    def from_document(cls, document: BlockDocument) -> Self:
        """Make the block from a document that was read, as `aload` does after its request."""
        return cls._load_from_block_document(document)

    @property
    def project(self) -> str:
        """The project's name, which is the saved block's; empty if it was not loaded by one."""
        return self._block_document_name or ""

    @property
    def credentials_label(self) -> str:
        """What messages call these credentials: the saved block by its name, if it was loaded by one."""
        return f"the credentials block '{self.project}'" if self.project else "these credentials"

    def get_client(self) -> AbstractAsyncContextManager[HetznerCloudClient]:
        """Return the client of this project, shared by all tasks on the running event loop.

        Leaving the last such context closes its connections; hold it open around a
        whole run, so that the run has one connection pool and one view of the rate limit.
        """
        return pooled_client(
            ClientConfig(
                self.token, self.endpoint, self.rate_limit_reserve, self.credentials_label, _USER_AGENT
            )
        )


def _without_input(error: ValidationError) -> ValidationError:
    """Pydantic keeps the input in each error's details: here that is the token."""
    return ValidationError.from_exception_data(
        error.title,
        [
            InitErrorDetails(
                type=PydanticCustomError(
                    "rejected", "{message}", {"message": detail["msg"].removeprefix(_PREFIX)}
                ),
                loc=detail["loc"],
                input="**********",
            )
            for detail in error.errors(include_input=False, include_context=False, include_url=False)
        ],
        hide_input=True,
    )
