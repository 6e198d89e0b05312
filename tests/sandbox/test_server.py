"""Serving a sandbox, from Python and from the command line."""

import os
import re
import signal
import subprocess
import sys

import httpx
import pytest

from sandbox import Sandbox, serve
from sandbox.__main__ import main
from tests.support.sandbox_client import FIRST, asked, change, protected


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])
def test_serving_is_refused_when_the_host_is_not_loopback(host: str) -> None:
    with pytest.raises(ValueError, match=re.escape(host)), serve(Sandbox(), host=host):
        pass


def test_two_projects_know_nothing_of_each_other_when_served_together() -> None:
    with asked(snapshots=1) as (one, client), asked(snapshots=1, token="other") as (other, _):
        change(client, FIRST)
        assert (protected(one), protected(other)) == (True, False)
        assert client.get(f"{other.endpoint}/images").status_code == 401


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_serves_and_ends_quietly_when_told_to(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox", "--snapshots", "3", "--token", "abc"]
    command += ["--fault", "error operation=get_image status=503", "--lock-while-running"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        match = re.fullmatch(r"Sandbox at (http://127\.0\.0\.1:\d+/v1), token abc, 3 snapshots\n", line)
        assert match, process.stderr.read()
        headers = {"Authorization": "Bearer abc"}
        assert httpx.get(f"{match[1]}/images", headers=headers, trust_env=False).status_code == 200
        answer = httpx.get(f"{match[1]}/images/{FIRST}", headers=headers, trust_env=False)
        assert answer.status_code == 503
        process.send_signal(ending)
        assert (process.wait(5), process.stdout.read(), process.stderr.read()) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--snapshots", "-1"], "snapshots: Input should be greater than"),
        (["--host", "0.0.0.0"], "loopback only"),
        (["--fault", "explode"], "kind: Input should be"),
        (["--protected", "61"], "More snapshots are to be protected"),
        (["--port", "99999"], "A port is 0 to 65535, not 99999"),
        (["--rate-limit", "1" + "0" * 400], "rate_limit: Input should be less than"),
        (["--rate-refill-per-second", "1e-320"], "rate_refill_per_second: Input should be greater than"),
        (["--action-seconds", "inf"], "action_seconds: Input should be a finite number"),
        (["--first-image-id", str(2**53)], "first_image_id: Input should be less than"),
    ],
)
def test_the_command_names_the_option_when_it_is_not_valid(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert text in capsys.readouterr().err
