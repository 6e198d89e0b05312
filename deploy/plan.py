"""What prefect.yaml describes, deployment by deployment."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

_DIGITS = 12

Digests = Mapping[str, str]


@dataclass(frozen=True)
class Planned:
    """A deployment as it is described.

    Attributes:
        name: Flow and deployment, e.g. `protect-snapshots/on-demand`.
        short_name: As prefect.yaml has it.
        work_pool: The name of its work pool.
        digests: One for each part of its description; a part that is not described has none.
    """

    name: str
    short_name: str
    work_pool: str
    digests: Digests


def read_plan(root: Path) -> list[Planned]:
    """Read prefect.yaml in a folder.

    Raises:
        Exception: An entrypoint does not load; whatever it raises.
    """
    described = yaml.safe_load((root / "prefect.yaml").read_text())
    common = {key: value for key, value in described.items() if key != "deployments"} | {"root": str(root)}
    return [_planned(entry, common) for entry in described["deployments"]]


def _planned(entry: Mapping[str, Any], common: Mapping[str, Any]) -> Planned:
    flow: Flow[..., Any] = load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)
    parts = {**entry, "common": common, "parameter_schema": parameter_schema(flow).model_dump(mode="json")}
    return Planned(
        name=f"{flow.name}/{entry['name']}",
        short_name=entry["name"],
        work_pool=entry["work_pool"]["name"],
        digests={key: _digest(part) for key, part in sorted(parts.items())},
    )


def _digest(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:_DIGITS]
