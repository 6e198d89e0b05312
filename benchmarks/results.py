"""Results as lines of JSON in a file, tables of them, and the pages that they are written into."""

import json
import os
import platform
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Result = dict[str, Any]
Results = Sequence[Result]


def write_result(path: Path | None, section: str, result: Mapping[str, Any]) -> None:
    """Append a result of a section to a file, if there is one."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lines:
            lines.write(json.dumps({"section": section, **result}, ensure_ascii=False) + "\n")


def remove_results(path: Path, sections: Collection[str]) -> None:
    """Remove the results of some sections from a file, if it is there."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line)["section"] not in sections))


def read_results(path: Path) -> dict[str, list[Result]]:
    """Read a file's results by section."""
    sections: defaultdict[str, list[Result]] = defaultdict(list)
    for line in path.read_text().splitlines():
        result = json.loads(line)
        sections[result.pop("section")].append(result)
    return dict(sections)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table in markdown."""
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def write_sections(
    results: Mapping[str, Results], sections: Mapping[str, Callable[[Results], str]]
) -> dict[str, str]:
    """Write the text of each section.

    Raises:
        SystemExit: There are no results of one.
    """
    for name in sections:
        if not results.get(name):
            raise SystemExit(f"There are no figures of '{name}': what brings them did not run.")
    return {name: write(results[name]) for name, write in sections.items()}


def fill_page(page: Path, texts: Mapping[str, str]) -> None:
    """Replace what stands between the marks of each section of a page; write when and where it was measured.

    Raises:
        SystemExit: The page has no marks of a section, or several.
    """
    filled = page.read_text()
    for name, text in texts.items():
        marks = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        escaped = text.replace("\\", r"\\")
        filled, count = marks.subn(rf"\1\n{escaped}\n\n\2", filled)
        if count != 1:
            raise SystemExit(f"{page} has {count} places for the figures of '{name}', not one.")
    page.write_text(re.sub(r"(<!-- measured -->).*", rf"\1 Measured on {machine()}.", filled))


def machine() -> str:
    """Describe when and on what something was measured."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    gigabytes = round(pages * page_bytes / 2**30)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, {gigabytes} GB"
    return f"{datetime.now(UTC):%Y-%m-%d}, {where}"
