"""Measures what a run costs beside what people would use instead, all on this machine and in one run."""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import auditing, fan_out, many_projects, protecting, start_up
from benchmarks.bench import PROJECT, Bench
from benchmarks.figures import machine, read_figures
from benchmarks.goals import goals
from benchmarks.prefect_side import save_projects
from benchmarks.processes import stand_in
from benchmarks.tables import TABLES, Table
from playground.server import ROOT, prefect_server

_BUILD = ROOT / "build"
_CONSOLE = Console(highlight=False, width=160)
_SECTIONS: dict[str, Callable[[Bench], None]] = {
    "start_up": start_up.measure,
    "audit": auditing.measure,
    "nothing": auditing.measure_nothing_to_do,
    "protect": protecting.measure,
    "projects": many_projects.measure,
    "fan_out": fan_out.measure,
}


def main(sections: list[str], path: Path, *, quick: bool) -> None:
    """Measure sections, append their figures to a file, and print tables of all that is in it."""
    home = _BUILD / "benchmark"
    shutil.rmtree(home, ignore_errors=True)
    with prefect_server(home) as server, stand_in() as cloud:
        save_projects(server, [PROJECT], cloud.endpoint)
        bench = Bench(server, cloud, quick, path)
        with protecting.one_by_one(bench) if "protect" in sections else nullcontext():
            for name in sections:
                _CONSOLE.print(f"Measuring: {name} ...")
                _SECTIONS[name](bench)
    figures = read_figures(path)
    _CONSOLE.print(f"\nMeasured on {machine()}.")
    for name, make in TABLES.items():
        if name in figures:
            _print(make(figures[name]))
    _print(goals(figures))


def _print(made: Table) -> None:
    shown = RichTable(title=made.title, title_justify="left", title_style="bold")
    for number, column in enumerate(made.columns):
        shown.add_column(column, justify="left" if number < 2 else "right")
    for row in made.rows:
        shown.add_row(*row)
    _CONSOLE.print("\n", shown, sep="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", choices=[*_SECTIONS, []], help=", ".join(_SECTIONS)
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: some minutes")
    parser.add_argument(
        "--figures", type=Path, default=_BUILD / "benchmark.jsonl", help="default: %(default)s"
    )
    parser.add_argument("--keep", action="store_true", help="add to the figures that are there")
    return parser


if __name__ == "__main__":
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started ends
    if not options.keep:
        options.figures.unlink(missing_ok=True)
    try:
        main(options.sections or list(_SECTIONS), options.figures, quick=options.quick)
    except KeyboardInterrupt:
        sys.exit("Interrupted; the server and the stand-ins are ended.")
