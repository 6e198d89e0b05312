"""Why a project's credentials cannot be used, and what to do about it; no message contains a token."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from blocks.credentials import ENVIRONMENT
from blocks.saved_blocks import Unreadable
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.wording import join_bounded

UNKNOWN = "unknown_project"
UNREADABLE = "unreadable_credentials"
_MAX_NAMED = 10


def unknown_project(name: str, available: Sequence[str] | None) -> ErrorInfo:
    """Describe a name that no saved block has, with those that exist; None if they cannot be listed."""
    if name == ENVIRONMENT:
        text = "the name is reserved for HCLOUD_TOKEN, which only a run from the shell uses"
        return ErrorInfo(code="reserved_name", message=text)
    message = f"no saved credentials block has this name.{_list(available)}".removesuffix(".")
    return ErrorInfo(code=UNKNOWN, message=message)  # the code follows


def unknown_projects(names: Sequence[str], available: Sequence[str] | None) -> InvalidArgumentError:
    """Make the error of a run of whose names none is saved."""
    if available is not None and not available and ENVIRONMENT not in names:
        return nothing_saved(deployed=True)
    text = f"No saved Hetzner Cloud Credentials block is named {quoted(names)}.{_list(available)}"
    if ENVIRONMENT in names:
        text += f" '{ENVIRONMENT}' is HCLOUD_TOKEN, which only a run from the shell uses."
    return InvalidArgumentError(text)


def nothing_saved(*, deployed: bool) -> InvalidArgumentError:
    """Make the error of a run without any project."""
    return InvalidArgumentError(
        "No Hetzner Cloud Credentials block is saved. Save one for each project on the Blocks page of "
        "the Prefect UI: its name is the project's name."
        + ("" if deployed else " Or set HCLOUD_TOKEN for a run from the shell.")
    )


def no_longer_saved(name: str, last_seen: datetime) -> ErrorInfo:
    """Describe a project that earlier audits covered, and whose block is deleted or renamed."""
    return ErrorInfo(
        code="no_longer_saved",
        message=(
            f"its credentials block is no longer saved; an audit last saw it on {last_seen:%Y-%m-%d %H:%M} "
            f"UTC. Save it again, or confirm its removal: hetzner-snapshots credentials delete {name}"
        ),
    )


def unreadable_credentials(found: Unreadable, name: str = "") -> ErrorInfo:
    """Describe a block that the Prefect API cannot return; without a name, by its place in their order."""
    what = f"the credentials block '{name}'" if name else f"a credentials block{_place(found)}"
    advice = "Restore PREFECT_SERVER_ENCRYPTION_KEY of the Prefect server, if it has changed"
    return ErrorInfo(code=UNREADABLE, message=f"{what} cannot be read: {found.reason}. {advice}")


def invalid_credentials(name: str, error: Exception) -> ErrorInfo:
    """Describe a block that was saved without being validated, as the UI does."""
    text = f"{type(error).__name__}."
    if isinstance(error.__cause__, ValidationError):
        details = error.__cause__.errors(include_input=False, include_url=False)
        text = "; ".join(str(detail["msg"]) for detail in details)
    message = f"the credentials block '{name}' is not valid: {text} Fix it on the Blocks page of the UI"
    return ErrorInfo(code="invalid_credentials", message=message)


def name_is_reserved() -> ErrorInfo:
    """Describe a block that was saved in the UI under the reserved name."""
    message = f"the name '{ENVIRONMENT}' is reserved for the project of HCLOUD_TOKEN. Save it under another"
    return ErrorInfo(code="reserved_name", message=message)


def quoted(names: Sequence[str]) -> str:
    """Format names as a list, ten at most."""
    return join_bounded((f"'{name}'" for name in names), limit=_MAX_NAMED)


def _list(available: Sequence[str] | None) -> str:
    return f" Available projects: {quoted(available)}." if available else ""


def _place(found: Unreadable) -> str:
    parts = [f"after '{found.before}'"] if found.before else []
    parts += [f"before '{found.after}'"] if found.after else []
    return f" ({' and '.join(parts)} in the order of their names)" if parts else ""
