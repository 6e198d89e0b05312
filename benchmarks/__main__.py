"""Measures what a run costs, compared with the alternatives, all on this machine and in one run."""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import auditing, fan_out, many_projects, protecting, pruning, scaling, start_up
from benchmarks.bench import PROJECT, Bench
from benchmarks.goals import goals
from benchmarks.prefect_side import save_projects
from benchmarks.processes import fake_cloud
from benchmarks.results import machine, read_results, remove_results
from benchmarks.tables import Table, tables
from playground.server import ROOT, prefect_server

_BUILD = ROOT / "build"
_CONSOLE = Console(highlight=False, width=160)
_SECTIONS: dict[str, Callable[[Bench], None]] = {
    "start_up": start_up.measure,
    "audit": auditing.measure,
    "nothing": auditing.measure_nothing_to_do,
    "prune": pruning.measure,
    "protect": protecting.measure,
    "projects": many_projects.measure,
    "fan_out": fan_out.measure,
    "scaling": scaling.measure,
}
_IN_BACKGROUND = "one_by_one"


def main(sections: Collection[str], path: Path, *, quick: bool) -> None:
    """Measure sections, replace their results in a file, and print tables of all that is in it."""
    remove_results(path, sections)
    home = _BUILD / "benchmark"
    shutil.rmtree(home, ignore_errors=True)
    with prefect_server(home) as server, fake_cloud() as cloud:
        save_projects(server, [PROJECT], cloud.endpoint)
        bench = Bench(server, cloud, quick, path)
        with protecting.one_by_one(bench) if _IN_BACKGROUND in sections else nullcontext():
            for name, measure in _SECTIONS.items():
                if name in sections:
                    _CONSOLE.print(f"Measuring: {name} ...")
                    measure(bench)
            _CONSOLE.print(
                "Waiting for what was measured in the background ..." if _IN_BACKGROUND in sections else ""
            )
    results = read_results(path)
    _CONSOLE.print(f"\nMeasured on {machine()}.")
    for table in tables(results):
        _print(table)
    _print(goals(results))


def _print(table: Table) -> None:
    shown = RichTable(title=table.title, title_justify="left", title_style="bold")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number < 2 else "right")
    for row in table.rows:
        shown.add_row(*row)
    _CONSOLE.print("\n", shown, sep="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*_SECTIONS, _IN_BACKGROUND]
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=[*names, []], help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: some minutes")
    parser.add_argument(
        "--figures", type=Path, default=_BUILD / "benchmark.jsonl", help="default: %(default)s"
    )
    return parser


if __name__ == "__main__":
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started ends
    try:
        main(options.sections or [*_SECTIONS, _IN_BACKGROUND], options.figures, quick=options.quick)
    except KeyboardInterrupt:
        sys.exit("Interrupted; the Prefect server and the fake servers have been stopped.")
