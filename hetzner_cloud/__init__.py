"""An async client for images, image actions, servers and prices of Hetzner Cloud.

    async with HetznerCloudClient(ClientConfig(SecretStr(token))) as client:
        snapshots = await client.list_images(type="snapshot")
        action = await client.change_image_protection(snapshots[0].id, delete=True)
        await wait_for_actions(client, [action], timeout_seconds=60)

* `client`: one method for each endpoint; `config` and `settings`: what it connects to, and how
* `models`, `servers`, `prices`, `errors`, `deletions`: what its methods return and raise
* `retry`: which errors are transient; `action_waiter`: waiting for actions; `client_pool`: a shared client
"""

from hetzner_cloud._version import __version__
from hetzner_cloud.action_waiter import ActionSource, Progress, wait_for_actions
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.client_pool import pooled_client
from hetzner_cloud.config import DEFAULT_ENDPOINT, ClientConfig
from hetzner_cloud.deletions import DeletionUnconfirmedError, ImageNotDeletedError
from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ActionNotFoundError,
    ActionUnfinishedError,
    ApiError,
    AuthenticationError,
    ConflictError,
    DeprecatedEndpointError,
    HetznerCloudError,
    InvalidArgumentError,
    InvalidRequestError,
    InvalidResponseError,
    LockedError,
    NotFoundError,
    PermissionDeniedError,
    ProtectedError,
    RateLimitError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
    ServerError,
    TransportError,
)
from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import (
    Action,
    ActionErrorInfo,
    CreatedFrom,
    Deprecation,
    Image,
    Protection,
    Resource,
)
from hetzner_cloud.prices import ImagePricing, Price, Pricing
from hetzner_cloud.retry import RetryPolicy, is_transient
from hetzner_cloud.servers import Server, ServerImage
from hetzner_cloud.settings import Settings
from hetzner_cloud.unreadable_entries import (
    UnreadableActionsError,
    UnreadableEntriesError,
    UnreadableEntry,
    UnreadableImagesError,
    UnreadableServersError,
)

__all__ = [
    "DEFAULT_ENDPOINT",
    "Action",
    "ActionError",
    "ActionErrorInfo",
    "ActionFailedError",
    "ActionNotFoundError",
    "ActionSource",
    "ActionUnfinishedError",
    "ApiError",
    "AuthenticationError",
    "ClientConfig",
    "ConflictError",
    "CreatedFrom",
    "DeletionUnconfirmedError",
    "DeprecatedEndpointError",
    "Deprecation",
    "HetznerCloudClient",
    "HetznerCloudError",
    "Image",
    "ImageNotDeletedError",
    "ImagePricing",
    "InvalidArgumentError",
    "InvalidRequestError",
    "InvalidResponseError",
    "LabelSelector",
    "LockedError",
    "NotFoundError",
    "PermissionDeniedError",
    "Price",
    "Pricing",
    "Progress",
    "ProtectedError",
    "Protection",
    "RateLimitError",
    "ReadOnlyTokenError",
    "Resource",
    "ResourceUnavailableError",
    "RetryPolicy",
    "Server",
    "ServerError",
    "ServerImage",
    "Settings",
    "TransportError",
    "UnreadableActionsError",
    "UnreadableEntriesError",
    "UnreadableEntry",
    "UnreadableImagesError",
    "UnreadableServersError",
    "__version__",
    "is_transient",
    "pooled_client",
    "wait_for_actions",
]
