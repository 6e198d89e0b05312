"""Trying a token with one request that changes nothing."""

import asyncio
from contextlib import suppress

from blocks.credentials import HetznerCloudCredentials
from cli.project_results import Status
from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, PermissionDeniedError, TransportError
from hetzner_cloud.unreadable_entries import UnreadableActionsError

WRITE_ACCESS = (
    "Write access cannot be checked without making a change: a protection run needs Read & Write, an audit "
    "only Read."
)
_TRIAL_SECONDS = 60.0  # a client that is rate limited would wait for much longer


async def try_token(credentials: HetznerCloudCredentials) -> None:
    """Send one request.

    Raises:
        HetznerCloudError: The token was rejected, or could not be tried.
    """
    async with credentials.get_client() as client:
        with suppress(UnreadableActionsError):  # the token was accepted
            await client.list_image_actions(limit=1)


async def find_rejection(credentials: HetznerCloudCredentials) -> tuple[Status, str] | None:
    """Try a token within a minute; returns None if it works, else what is wrong, and why."""
    try:
        async with asyncio.timeout(_TRIAL_SECONDS):
            await try_token(credentials)
    except TimeoutError:
        return "unreachable", f"no usable response from {credentials.endpoint} within {_TRIAL_SECONDS:g} s"
    except (AuthenticationError, PermissionDeniedError) as error:
        return "rejected", str(error)
    except TransportError as error:
        return "unreachable", str(error)
    except HetznerCloudError as error:
        return "failed", str(error)
    return None
