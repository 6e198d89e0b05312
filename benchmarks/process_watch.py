"""Memory and CPU time of the processes that a benchmark has started, by what they are, read from /proc."""

import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_POLL_SECONDS = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_KINDS = {  # by what their command lines contain
    "flow run": re.compile(
        r"_workspace_runtime_bootstrap|prefect\.engine|prefect\.flow_engine|benchmarks\.contenders"
    ),
    "supervisor": re.compile(r"_workspace_supervisor"),
    "worker": re.compile(r"prefect worker start"),
    "server": re.compile(r"prefect server start|prefect\.server"),
    "sandboxes": re.compile(r"benchmarks\.fake_cloud"),
}


class Usage(NamedTuple):
    """What the processes of a kind have used.

    Attributes:
        processes: How many there were.
        peak_bytes: The most memory that one of them had.
        cpu_seconds: Of all together.
    """

    processes: int
    peak_bytes: int
    cpu_seconds: float


class ProcessWatch:
    """Reads all descendants of this process again and again."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}
        self._before = dict(_descendants())

    def look(self) -> None:
        """Read what all processes have used so far."""
        for pid, cpu_seconds in _descendants():
            command = _read(pid, "cmdline").replace("\0", " ")
            kind = next((kind for kind, pattern in _KINDS.items() if pattern.search(command)), None)
            peak = re.search(r"VmHWM:\s+(\d+) kB", _read(pid, "status"))
            if kind and peak:
                used = cpu_seconds - self._before.get(pid, 0.0)
                self._seen[kind, pid] = (int(peak[1]) * 1024, used)

    def usage(self) -> Mapping[str, Usage]:
        """Return what each kind of process has used."""
        found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for (kind, _), used in self._seen.items():
            found[kind].append(used)
        return {
            kind: Usage(len(used), max(peak for peak, _ in used), sum(cpu for _, cpu in used))
            for kind, used in found.items()
        }


@contextmanager
def watch_processes() -> Iterator[ProcessWatch]:
    """Watch the processes that this one has started, as long as the context lasts."""
    watch, ended = ProcessWatch(), threading.Event()

    def run() -> None:
        while not ended.wait(_POLL_SECONDS):
            watch.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        watch.look()


def _descendants() -> list[tuple[int, float]]:
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pid = int(folder.name)
            parents[pid], seconds[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS
    found = [os.getpid()]
    for pid in found:  # grows
        found += [child for child, parent in parents.items() if parent == pid]
    return [(pid, seconds.get(pid, 0.0)) for pid in found[1:]]


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    return ""
