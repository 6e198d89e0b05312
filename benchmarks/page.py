"""Writes results into docs/performance.md: `python -m benchmarks.page build/benchmark.jsonl`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import fleet
from benchmarks.goals import goals
from benchmarks.results import Results, fill_page, read_results, table, write_sections
from benchmarks.tables import TABLES, Table, of_section
from playground.server import ROOT

PAGE = ROOT / "docs" / "performance.md"


def main(path: Path) -> None:
    """Replace what stands between the marks of each section of the page."""
    results = read_results(path)
    found = {name: of_section(results, name) for name in TABLES}
    texts = write_sections(found, {name: partial(_written, make) for name, make in TABLES.items()})
    computed = {"goals": goals(results)} | {
        name: make(found["scaling"])
        for name, make in {
            "fleet": fleet.fleet,
            "needs": fleet.needs,
            "rate_limits": fleet.rate_limits,
        }.items()
    }
    fill_page(PAGE, {name: _in_markdown(made) for name, made in computed.items()} | texts)
    print(f"{PAGE.name}: written, {sum(map(len, results.values()))} figures")


def _written(make: Callable[[Results], Table], results: Results) -> str:
    return _in_markdown(make(results))


def _in_markdown(made: Table) -> str:
    return table(made.columns, made.rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
