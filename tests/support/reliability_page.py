"""Writes figures into docs/reliability.md: `python -m tests.support.reliability_page build/figures.jsonl`."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import Results, fill_page, read_results, table, write_sections

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(path: Path) -> None:
    """Replace what stands between the marks of each section of the page."""
    figures = read_results(path)
    fill_page(PAGE, write_sections(figures, _SECTIONS))
    print(f"{PAGE.name}: written, {sum(map(len, figures.values()))} figures")  # noqa: T201 - a command's output


def _matrix(figures: Results) -> str:
    held = sum(figure["held"] for figure in figures)
    text = f"**{len(figures)} cells tried, {held} held.**"
    for flow in ("protect", "audit", "unprotect"):
        told = {
            (figure["fault"], figure["place"], figure["times"]): figure.get("told", "**not held**")
            for figure in figures
            if figure["flow"] == flow
        }
        faults, places = (list(dict.fromkeys(key[at] for key in told)) for at in (0, 1))
        columns = ["fault", *(f"{place}, {times}" for place in places for times in ("once", "always"))]
        rows = [
            [fault, *(told[fault, place, times] for place in places for times in ("once", "always"))]
            for fault in faults
        ]
        text += f"\n\n`{flow}`:\n\n{table(columns, rows)}"
    return text


def _others(figures: Results) -> str:
    held = sum(figure["held"] for figure in figures)
    moments = list(dict.fromkeys(figure["moment"] for figure in figures))
    cells = {
        (f"{figure['change']}: {figure['target']}", figure["moment"]): "held"
        if figure["held"]
        else "**not held**"
        for figure in figures
    }
    rows = [
        [what, *(cells[what, moment] for moment in moments)]
        for what in dict.fromkeys(what for what, _ in cells)
    ]
    return f"**{len(figures)} cells tried, {held} held.**\n\n{table(['change', *moments], rows)}"


def _pacing(figures: Results) -> str:
    columns = ["case", "requests", "429s", "seconds", "the bucket's own", "ratio", "fewest left", "reserve"]
    rows = [
        [
            figure["case"],
            figure["requests"],
            figure["refused"],
            f"{figure['seconds']:.1f}",
            f"{figure['min_seconds']:.1f}",
            f"{figure['seconds'] / figure['min_seconds']:.2f}",
            figure["lowest"],
            f"{figure['reserve']:.0f}",
        ]
        for figure in figures
    ]
    return table(columns, rows)


def _kills(figures: Results) -> str:
    rows = [
        [figure["point"], f"{figure['protected_then']} of 16", figure["state_then"]] for figure in figures
    ]
    text = (
        f"**{len(figures)} runs killed, {len(figures)} times nothing untrue was on record, and the next run "
        "ended with all protected.**"
    )
    return f"{text}\n\n{table(['killed at request', 'protected by then', 'state on record'], rows)}"


def _restart(figures: Results) -> str:
    [figure] = figures
    return (
        f"{figure['changes_sent_before']} of 40 changes had been sent when the server was away; "
        f"the run ended {figure['state']}."
    )


def _reboot(figures: Results) -> str:
    figure = figures[-1]
    return (
        f"{len(figure['interrupted'])} runs were interrupted ({', '.join(figure['interrupted'])}). "
        f"The audit that names them ended {figure['audit']}:\n\n> {figure['message']}"
    )


def _lease(figures: Results) -> str:
    figure = figures[-1]
    return f"The run took {figure['seconds']} s, and ended {figure['state']}."


def _cancels(figures: Results) -> str:
    rows = [[figure["when"], figure["actions_started"], figure["named"]] for figure in figures]
    return table(["project", "actions started", "named in the log"], rows)


def _examples(figures: Results) -> str:
    return table(["what holds", "examples"], [[figure["what"], figure["count"]] for figure in figures])


def _memory(figures: Results) -> str:
    return f"The peak grew by {figures[-1]['megabytes']} MB while a body of 1 GB was offered."


def _secrets(figures: Results) -> str:
    found = Counter({figure["place"]: figure["found"] for figure in figures})
    rows = [[figure["place"], figure["scanned"], figure["found"]] for figure in figures]
    return f"**Found: {found.total()}.**\n\n{table(['place', 'cells or files scanned', 'found'], rows)}"


_SECTIONS: dict[str, Callable[[Results], str]] = {
    "matrix": _matrix,
    "others": _others,
    "pacing": _pacing,
    "kills": _kills,
    "restart": _restart,
    "cancels": _cancels,
    "reboot": _reboot,
    "lease": _lease,
    "examples": _examples,
    "memory": _memory,
    "secrets": _secrets,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
