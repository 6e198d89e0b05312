"""The commands of `hetzner-snapshots notifications`: what they print, and their exit statuses."""

import asyncio
from collections.abc import Callable

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from cli.notifications import (
    list_notifications,
    remove_notifications,
    send_test_notifications,
    set_notifications,
)
from tests.support.automations import BLOCK, notifications, save_notification_block

SLUG = f"custom-webhook/{BLOCK}"


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_deployed")
def test_they_are_set_tried_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: Callable[[], int]) -> tuple[int, list[str]]:
        status = command()
        printed = capsys.readouterr()
        return status, [*printed.out.splitlines(), *printed.err.splitlines()]

    assert run(lambda: send_test_notifications(""))[0] == 1
    status, lines = run(list_notifications)
    assert (status, lines[-1]) == (
        1,
        "Some are missing or disabled. Create or update them: hetzner-snapshots notifications set BLOCK",
    )
    with notifications() as (url, received):
        asyncio.run(save(url))
        status, lines = run(lambda: set_notifications(SLUG))
        assert (status, lines[-1]) == (0, "Test it: hetzner-snapshots notifications test")
        assert {line.rpartition(": ")[2] for line in lines[:-1]} == {"created"}
        assert run(lambda: send_test_notifications("")) == (0, [f"{SLUG}: sent"])
        assert len(received) == 1
    assert run(list_notifications)[0] == 0
    status, [line] = run(lambda: send_test_notifications(SLUG))
    assert (status, "could not send (ConnectError)" in line) == (1, True)
    assert run(lambda: set_notifications("none"))[0] == 1
    assert run(remove_notifications)[0] == 0
    assert run(remove_notifications) == (0, ["No automations to delete."])


async def save(url: str) -> None:
    await save_notification_block(url)


def test_a_server_that_does_not_respond_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert list_notifications() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("Failed: ")
