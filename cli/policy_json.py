"""A policy and its effect as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cli.json_output import print_json
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.policy_overview import ProjectOverview, unused_rules


def print_policy_json(policy: NamedPolicy, projects: Sequence[ProjectOverview] | None = None) -> None:
    """Print a policy and, of projects, how many snapshots each rule governs and which are exempt."""
    fields: dict[str, Any] = {"policy": {"name": policy.name, **policy.policy.model_dump(mode="json")}}
    failed = [project for project in projects or () if project.error]
    if projects is not None:
        fields["projects"] = [_describe(project) for project in projects]
        fields["unused_rules"] = unused_rules(policy.policy, projects)
    unread = f"; {len(failed)} of {len(projects or ())} projects could not be read" if failed else ""
    print_json(succeeded=not failed, message=f"{policy}{unread}", fields=fields)


def _describe(project: ProjectOverview) -> Mapping[str, Any]:
    governed = [
        {"rule": rule or None, "snapshots": snapshots} for rule, snapshots in project.governed.items()
    ]
    return {**asdict(project), "governed": governed}
