"""What a command on credentials reports of each project, in a line or as JSON; never a token."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.text import Text

from cli.json_output import print_json
from cli.tables import make_console
from snapshot_protection.wording import pluralize

Status = Literal[
    "saved",
    "saved already",
    "works",
    "rejected",
    "unreachable",
    "cannot be read",
    "invalid",
    "not saved",
    "failed",
]
_MAX_CONCURRENT_PROJECTS = 10
_SUCCESSES = frozenset({"saved", "saved already", "works"})


class ProjectResult(NamedTuple):
    """The result for one project.

    Attributes:
        message: Why, or what else to know; empty if there is nothing.
    """

    project: str
    status: Status
    message: str = ""
    endpoint: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether nothing is to be done."""
        return self.status in _SUCCESSES


async def report_each(
    names: Sequence[str], attempt: Callable[[int], Awaitable[ProjectResult]], *, note: str, as_json: bool
) -> int:
    """Do something for each project, ten at once, and print each result in the order of the names.

    Args:
        names: The projects.
        attempt: Does it for the project at a place in the list, and returns the result.
        note: What to know of those that succeeded.
        as_json: Whether to print all results as JSON in the end, in place of a line each.

    Returns:
        The exit status, 0 only if each succeeded.
    """
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_PROJECTS)

    async def limited(place: int) -> ProjectResult:
        async with limiter:
            return await attempt(place)

    running = [asyncio.create_task(limited(place)) for place in range(len(names))]
    console, results = make_console(), []
    for task in running:
        results.append(await task)
        if not as_json:
            print_result(results[-1], names, console)
    if as_json:
        print_results_json(results)
    else:
        noted = f" {note}" if any(result.succeeded for result in results) else ""
        console.print(Text(f"{format_counts(results)}.{noted}"), soft_wrap=True)
    return exit_status_of(results)


def exit_status_of(results: Iterable[ProjectResult]) -> int:
    """Return 0 if each succeeded, else 1."""
    return 0 if all(result.succeeded for result in results) else 1


def print_result(result: ProjectResult, names: Iterable[str], console: Console) -> None:
    """Print a result in one line, aligned with those of the other projects."""
    width = max(map(len, names), default=0)
    line = f"{result.project:{width}}  {result.status}"
    line += f": {result.message}" if result.message else ""
    console.print(Text(line, style="" if result.succeeded else "bold red"), soft_wrap=True)


def format_counts(results: Sequence[ProjectResult]) -> str:
    """Format how many projects have which result."""
    counts = Counter(result.status for result in results)
    listed = ", ".join(f"{number} {status}" for status, number in counts.items())
    return f"{pluralize(len(results), 'project')}: {listed or 'none'}"


def print_results_json(results: Sequence[ProjectResult]) -> None:
    """Print all results as one JSON object."""
    print_json(
        succeeded=all(result.succeeded for result in results),
        message=format_counts(results),
        fields={"projects": [result._asdict() for result in results]},
    )
