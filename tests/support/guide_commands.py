"""The shell commands of README and docs: as they are typed, split, and Prefect's run in this process."""

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from prefect.testing.cli import invoke_and_assert

ROOT = Path(__file__).parents[2]
_COMMENT = re.compile(r"\s{2,}# .*$", re.MULTILINE)
_HERE_DOCUMENT = re.compile(r" <<END$(?:\n.*)*?\nEND$", re.MULTILINE)
_SUBSTITUTION = re.compile(r"\$\([^()]*\)")
_KEYWORDS = re.compile(r"^(for \w+ in .*; do|done|\w+=\S*)$")


def pages() -> list[Path]:
    """Return README.md and the pages of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def typed_commands(text: str) -> list[str]:
    """List what a text has its readers type: each command with its continuation lines, without comments."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    typed = [each for block in blocks for each in re.findall(r"^\$ .*(?:\n> .*)*", block, re.MULTILINE)]
    return [_COMMENT.sub("", re.sub(r"^[$>] ", "", one, flags=re.MULTILINE)) for one in typed]


def simple_commands(typed: str) -> list[list[str]]:
    """Split what is typed into its commands, each as its words; loops, assignments and input are none."""
    typed = _SUBSTITUTION.sub("OUTPUT", _HERE_DOCUMENT.sub("", typed))
    lines = re.split(r"\n| && ", typed.replace("\\\n", " "))
    words = [shlex.split(line) for line in map(str.strip, lines) if not _KEYWORDS.match(line)]
    return [_without_assignments(one) for one in words]


def _without_assignments(words: list[str]) -> list[str]:
    first = next(index for index, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return words[first:]


def section(page: str, title: str) -> str:
    """Return what stands under a heading of a page of docs, up to the next one of its level or above."""
    text = (ROOT / "docs" / page).read_text()
    found = re.search(rf"^(##+) {re.escape(title)}\n(.*?)(?=^##? |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{page} has no section {title}")
    return found[2]


def prefect_calls(page: str, title: str, folder: Path, **replaced: str) -> list[list[str]]:
    """List the calls of `prefect` that a section of a guide makes, with other words in place of the keys."""
    of_prefect = {"prefect"}
    typed = [
        one
        for one in typed_commands(section(page, title))
        if {command[0] for command in simple_commands(one)} <= of_prefect and "--watch" not in one
    ]
    if not typed:
        raise LookupError(f"{page}, {title}: there is no command of Prefect")
    script = "\n".join(typed).replace("/tmp/", f"{folder}/")
    for name, value in replaced.items():
        script = re.sub(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
    return _calls(script, folder)


def _calls(script: str, folder: Path) -> list[list[str]]:
    """Run a script in a shell in which `prefect` only writes down with what arguments it was called."""
    log, stub = folder / "calls", folder / "prefect"
    stub.write_text(f'#!/bin/sh\nfor word; do printf "%s\\\\n" "$word"; done >> {log}\necho >> {log}\n')
    stub.chmod(0o755)
    log.write_text("")
    path = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", "-ec", script], cwd=ROOT, env={**os.environ, **path}, check=True)
    return [call.split("\n") for call in log.read_text().strip("\n").split("\n\n")]


def run_prefect(calls: Sequence[Sequence[str]]) -> None:
    """Run commands of Prefect in this process; each must succeed."""
    for call in calls:
        invoke_and_assert(list(call), expected_code=0, echo=False)
