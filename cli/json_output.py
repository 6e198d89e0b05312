"""What `--json` prints: one object on standard output, whatever the result; all else is on standard error."""

import json
import sys
from collections.abc import Mapping
from typing import Any


def print_json(*, succeeded: bool, message: str, fields: Mapping[str, Any] | None = None) -> None:
    """Print a result; in ASCII, which every pipe can carry.

    Args:
        succeeded: Whether the exit status is 0.
        message: The result in one line.
        fields: What else the command reports.
    """
    document = {"succeeded": succeeded, "message": message, **(fields or {})}
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
    sys.stdout.flush()
