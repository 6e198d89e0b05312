"""Projects in which nothing was found: reported as such, with the label selector if there is one. Pure."""

from collections.abc import Sequence

from hetzner_cloud.sanitize import printable
from snapshot_protection.wording import join_bounded, pluralize

_MAX_SELECTOR_LENGTH = 120
_NAMED = 5


def format_nothing_found(projects: int, label_selector: str) -> str:
    """Format the headline of a run that found no snapshot in any project that it could read."""
    text = _nothing_found(label_selector)
    return f"{text[0].upper()}{text[1:]} in {pluralize(projects, 'project')}"


def describe_empty(names: Sequence[str], label_selector: str) -> list[str]:
    """Describe in which projects no snapshot was found while others have some; nothing if there are none."""
    if not names:
        return []
    quoted = join_bounded((f"'{name}'" for name in names), limit=_NAMED)
    where = f"project {quoted}" if len(names) == 1 else f"{len(names)} projects: {quoted}"
    return [f"{_nothing_found(label_selector)} in {where}"]


def _nothing_found(label_selector: str) -> str:
    if not label_selector:
        return "no snapshot found"
    selector = printable(label_selector, max_length=_MAX_SELECTOR_LENGTH)
    return f"no snapshot matches the label selector '{selector}'"
