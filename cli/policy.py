"""Saving a policy from a file, and showing its effect on the existing snapshots."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from prefect.exceptions import ObjectAlreadyExists
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from blocks.projects import Project, load_projects
from blocks.snapshot_policy import SnapshotPolicy, load_policy, validate_policy_name
from cli.policy_json import print_policy_json
from cli.policy_tables import print_overview, print_policy
from cli.tables import make_console, print_failure
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.sanitize import printable
from snapshot_protection.policy import NamedPolicy, Policy
from snapshot_protection.policy_overview import ProjectOverview, make_overview
from snapshot_protection.policy_parsing import parse_policy

_MAX_CONCURRENT_PROJECTS = 20


def save_policy(name: str, file: Path, *, replace: bool) -> int:
    """Save a policy; returns the exit status, 0 only if it was saved."""
    return _run(_save(name, file, replace=replace))


def show_policy(name: str, projects: Sequence[str], *, as_json: bool = False) -> int:
    """Print what a saved policy means; returns the exit status, 0 only if every project could be read."""
    return _run(_show(name, projects, as_json=as_json), as_json=as_json)


def check_policy(file: Path, projects: Sequence[str], *, offline: bool, as_json: bool = False) -> int:
    """Print what a policy's file would mean; returns the exit status."""
    return _run(_check(file, projects, offline=offline, as_json=as_json), as_json=as_json)


def read_policy(file: Path) -> Policy:
    """Read a policy from a YAML file; a key that occurs twice is an error.

    Raises:
        InvalidArgumentError: It cannot be read, is no YAML, or no policy.
    """
    try:
        content = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgumentError(f"{file} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, YAMLError) as error:
        raise InvalidArgumentError(f"{file} is not valid YAML: {printable(str(error))}") from None
    return parse_policy(content)


async def _save(name: str, file: Path, *, replace: bool) -> int:
    policy = read_policy(file)
    block = SnapshotPolicy(rules=policy.rules, timezone=policy.timezone)
    try:
        await block.asave(validate_policy_name(name), overwrite=replace)
    except ValueError as error:
        if isinstance(error.__cause__, ObjectAlreadyExists):
            text = f"Policy '{name}' already exists; use --replace to replace it."
            raise InvalidArgumentError(text) from None
        raise
    console = make_console()
    print_policy(NamedPolicy(name, policy), console)
    console.print(f"Saved. See its effect on your snapshots: hetzner-snapshots policy show {name}")
    return 0


async def _show(name: str, projects: Sequence[str], *, as_json: bool) -> int:
    return await _print(await load_policy(name), projects, as_json=as_json)


async def _check(file: Path, projects: Sequence[str], *, offline: bool, as_json: bool) -> int:
    policy = NamedPolicy(file.name, read_policy(file))
    if not offline:
        return await _print(policy, projects, as_json=as_json)
    if as_json:
        print_policy_json(policy)
    else:
        print_policy(policy, make_console())
    return 0


async def _print(policy: NamedPolicy, projects: Sequence[str], *, as_json: bool) -> int:
    chosen = await load_projects(projects, deployed=False)
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_PROJECTS)
    overviews = await asyncio.gather(*(_overview(policy.policy, project, limiter) for project in chosen))
    if as_json:
        print_policy_json(policy, overviews)
    else:
        console = make_console()
        print_policy(policy, console)
        print_overview(policy.policy, overviews, console)
    return 1 if any(overview.error for overview in overviews) else 0


async def _overview(policy: Policy, project: Project, limiter: asyncio.Semaphore) -> ProjectOverview:
    if project.credentials is None:
        return ProjectOverview(
            project.name, error=project.error.message if project.error else "no credentials"
        )
    try:
        async with limiter, project.credentials.get_client() as client:
            images = await client.list_images(type="snapshot")
    except HetznerCloudError as error:
        return ProjectOverview(project.name, error=str(error))
    return make_overview(policy, project.name, images)


def _run(work: Coroutine[Any, Any, int], *, as_json: bool = False) -> int:
    try:
        return asyncio.run(work)
    except HetznerCloudError as error:
        return print_failure(error, as_json=as_json)
