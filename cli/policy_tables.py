"""A policy and its effect as tables on a terminal, in a file or in a pipe."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.table_layout import Column, Row
from cli.tables import print_rows
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from snapshot_protection.policy_overview import ProjectOverview, unused_rules
from snapshot_protection.wording import pluralize

_NO_RULE = "(no rule)"
_MAX_EXEMPT = 50
_EXEMPT_COLUMNS = (
    Column("project"),
    Column("snapshot"),
    Column("rule", cut=True),
    Column("now"),
    Column("description", cut=True),
)


def print_policy(policy: NamedPolicy, console: Console) -> None:
    """Print a policy's rules in the order in which they are tried."""
    rules = policy.policy.rules
    _print(console, f"{policy}: {pluralize(len(rules), 'rule')}, time zone {policy.policy.timezone}")
    rows = [[rule.name, _conditions(rule), *_consequences(rule)] for rule in rules]
    rows.append([_NO_RULE, "everything else", *_consequences(None)])
    _print_table(console, ["rule", "matches", "protect", "prune"], rows)


def print_overview(policy: Policy, projects: Sequence[ProjectOverview], console: Console) -> None:
    """Print how many snapshots each rule governs, which are exempt, and what could not be read."""
    _print_table(console, ["project", "rule", "snapshots", "protect", "prune"], _governed(policy, projects))
    _print_exempt(projects, console)
    for name in unused_rules(policy, projects):
        _print(console, f"Rule '{name}' governs no snapshot.")
    for project in projects:
        if project.error:
            _print(console, f"Project '{project.project}' could not be read: {project.error}")


def _governed(policy: Policy, projects: Sequence[ProjectOverview]) -> list[list[str]]:
    rules: list[Rule | None] = [*policy.rules, None]
    return [
        [project.project, name or _NO_RULE, str(project.governed[name]), *_consequences(rule)]
        for project in projects
        for rule in rules
        if (name := rule.name if rule else "") in project.governed
    ]


def _print_exempt(projects: Sequence[ProjectOverview], console: Console) -> None:
    exempt = [(project.project, one) for project in projects for one in project.exempt]
    total = sum(sum(project.governed.values()) for project in projects)
    _print(console, f"{len(exempt)} of {pluralize(total, 'snapshot')} exempt from protection")
    rows = [
        {
            "project": project,
            "snapshot": str(one.image_id),
            "rule": one.rule,
            "now": "protected" if one.protected else "unprotected",
            "description": one.description,
        }
        for project, one in exempt[:_MAX_EXEMPT]
    ]
    print_rows(_EXEMPT_COLUMNS, [Row(cells) for cells in rows], console)
    if len(exempt) > _MAX_EXEMPT:
        _print(console, f"and {len(exempt) - _MAX_EXEMPT} more")


def _conditions(rule: Rule) -> str:
    conditions = {
        "project": " or ".join(rule.projects),
        "server": rule.server,
        "description": rule.description,
        "labels": rule.label_selector,
    }
    return ", ".join(f"{what} {glob}" for what, glob in conditions.items() if glob) or "everything"


def _consequences(rule: Rule | None) -> list[str]:
    if rule is None:
        return ["yes", "no"]
    return ["yes" if rule.protect else "no", "yes" if rule.prune else "no"]


def _print(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)


def _print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    console.print()
