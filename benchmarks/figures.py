"""Figures as lines of JSON in a file, tables of them, and the pages that they are written into."""

import json
import os
import platform
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Figure = dict[str, Any]
Figures = Sequence[Figure]


def write_figure(path: Path | None, section: str, figure: Mapping[str, Any]) -> None:
    """Append a figure of a section to a file, if there is one."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lines:
            lines.write(json.dumps({"section": section, **figure}, ensure_ascii=False) + "\n")


def read_figures(path: Path) -> dict[str, list[Figure]]:
    """Read a file's figures by section."""
    sections: defaultdict[str, list[Figure]] = defaultdict(list)
    for line in path.read_text().splitlines():
        figure = json.loads(line)
        sections[figure.pop("section")].append(figure)
    return dict(sections)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table in markdown."""
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def fill_page(
    page: Path, figures: Mapping[str, Figures], sections: Mapping[str, Callable[[Figures], str]]
) -> None:
    """Replace what stands between the marks of each section of a page, and say when and where.

    Raises:
        SystemExit: Figures, or the marks of a section, are not there.
    """
    text = page.read_text()
    for name, write in sections.items():
        if name not in figures:
            raise SystemExit(f"There are no figures of '{name}': what brings them did not run.")
        marks = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        written = write(figures[name]).replace("\\", r"\\")
        text, count = marks.subn(rf"\1\n{written}\n\n\2", text)
        if count != 1:
            raise SystemExit(f"{page} has {count} places for the figures of '{name}', not one.")
    page.write_text(re.sub(r"(<!-- measured -->).*", rf"\1 Measured on {machine()}.", text))


def machine() -> str:
    """Say when and on what something was measured."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    gigabytes = round(pages * page_bytes / 2**30)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, {gigabytes} GB"
    return f"{datetime.now(UTC):%Y-%m-%d}, {where}"
