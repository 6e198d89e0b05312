"""What every contender receives and reports: its job; its time without imports, and its memory."""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Job:
    """What a contender has to do.

    Attributes:
        kind: What to do, one of those that it knows.
        endpoint: Where the projects are.
        projects: Their names; a project's token is its name.
    """

    kind: str
    endpoint: str
    projects: list[str]

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_arguments(cls) -> Self:
        """Read it from the command line."""
        return cls(**json.loads(sys.argv[1]))

    @property
    def token(self) -> str:
        """The first project's."""
        return self.projects[0]


def run_job(works: Mapping[str, Callable[[Job], object]]) -> None:
    """Do the job, and report on stdout's last line how long it took and how much memory the process had."""
    job = Job.from_arguments()
    started = time.monotonic()
    output = works[job.kind](job)
    seconds = time.monotonic() - started
    measured: dict[str, Any] = {"seconds": seconds, "peak_bytes": peak_bytes(), "output": output}
    print(json.dumps(measured), flush=True)


def peak_bytes() -> int:
    """The most memory that this process has had at once; getrusage would count what it was forked from."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if not found:
        raise RuntimeError("The benchmark reads its memory from /proc, which only Linux has.")
    return int(found[1]) * 1024
