"""The services of compose.yaml as processes on loopback, with the same commands and the same environment."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from playground.child_processes import end, start_child

ROOT = Path(__file__).parent.parent.parent
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}")


def read_services() -> dict[str, dict[str, Any]]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert isinstance(services, dict)
    return services


@dataclass(frozen=True)
class Composition:
    """Where the services are instead.

    Attributes:
        variables: What `.env` would have.
        addresses: By what compose.yaml calls it, an address on loopback.
        database: Where PostgreSQL is, by the variables of the server.
        home: PREFECT_HOME of each service; containers have one each.
    """

    variables: Mapping[str, str]
    addresses: Mapping[str, str]
    database: Mapping[str, str]
    home: Path

    def environment(self, service: str) -> dict[str, str]:
        """Return the whole environment of a service."""
        own = {name: self._place(value) for name, value in read_services()[service]["environment"].items()}
        if "PREFECT_SERVER_DATABASE_HOST" in own:
            own |= self.database
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        home = self.home / service
        home.mkdir(parents=True, exist_ok=True)
        also = {"PREFECT_HOME": str(home), "HOME": str(home), "DO_NOT_TRACK": "1"}
        also |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        return {**kept, **also, **own, "PREFECT_WORKER_QUERY_SECONDS": "1"}

    def command(self, service: str) -> list[str]:
        """Return the command of a service, by the programs of this environment."""
        words = read_services()[service].get("command") or _image_command()
        program, *arguments = " ".join(map(self._place, words)).split()
        return [str(Path(sys.executable).parent / program), *arguments]

    def run(self, service: str) -> "subprocess.CompletedProcess[str]":
        """Run a service to its end."""
        return subprocess.run(
            self.command(service),
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def running(self, service: str) -> Iterator[Path]:
        """Run a service as long as the context lasts; yields its log."""
        environment = self.environment(service)
        log = self.home / f"{service}.log"
        with log.open("w") as output:
            folder = self.home / service
            process = start_child(self.command(service), folder, environment, output=output, errors=output)
        try:
            yield log
        finally:
            end(process)

    def _place(self, value: object) -> str:
        text = _VARIABLE.sub(
            lambda found: self.variables.get(found["name"], found["default"] or ""), str(value)
        )
        for name, address in self.addresses.items():
            text = text.replace(name, address)
        return text


def _image_command() -> list[str]:
    [command] = re.findall(r"^CMD \[(.*)\]$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return [part.strip().strip('"') for part in command.split(",")]
