"""A signal ends a flow that runs from the shell, wherever its event loop is at that moment."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from prefect.utilities.engine import capture_sigterm

from cli.endings import interrupt_on_signals
from cli.flow_run import run_flow
from snapshot_protection.protection_report import ProtectionReport

TERMINATED = 128 + signal.SIGTERM
TASKS = 20


@pytest.fixture
def _signals() -> Iterator[None]:
    kinds = (signal.SIGTERM, signal.SIGHUP)
    handlers = {kind: signal.getsignal(kind) for kind in kinds}
    interrupt_on_signals()
    yield
    for kind, handler in handlers.items():
        signal.signal(kind, handler)


@pytest.mark.usefixtures("_signals")
def test_a_signal_right_before_a_task_goes_on_loses_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of its handler there would lose the task for good, and the end would wait for it."""
    run = asyncio.events.Handle._run
    went_on: list[int] = []
    cancelled: list[int] = []

    def run_after_signal(handle: asyncio.Handle) -> None:
        if len(went_on) == TASKS // 2:
            went_on.append(-1)
            os.kill(os.getpid(), signal.SIGTERM)
        run(handle)

    async def go_on(task: int) -> None:
        try:
            await asyncio.sleep(0)
            went_on.append(task)
            await asyncio.sleep(3600)
        finally:
            cancelled.append(task)

    async def flow() -> ProtectionReport:
        with capture_sigterm():  # as Prefect's engine does around each flow
            await asyncio.gather(*(go_on(task) for task in range(TASKS)))
        raise AssertionError

    monkeypatch.setattr(asyncio.events.Handle, "_run", run_after_signal)
    assert run_flow(flow(), lambda *_: None, str) == TERMINATED
    assert sorted(cancelled) == list(range(TASKS))
