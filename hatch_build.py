"""Rejects every build but an editable one; hatchling calls it because of its name."""

from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableOnly(BuildHookInterface[BuilderConfig]):
    """An application: names like flows, tasks and blocks belong in no one's site-packages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's names
        if version != "editable":
            raise RuntimeError("hetzner-snapshot-protection is installed only from a checkout: make install")
