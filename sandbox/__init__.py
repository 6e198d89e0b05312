"""A stateful fake server for the image part of the Hetzner Cloud API, on loopback.

As a command: `python -m sandbox --port 8080 --snapshots 60`. In Python:

    with serve(Sandbox(snapshots=60, protected=10)) as sandbox:
        sandbox.faults.add(Fault(kind="error", operation="poll", status=502, times=1))
        ...  # send requests to sandbox.endpoint with sandbox.token
        assert sandbox.requests[-1].status == 200
"""

from sandbox.clock import Clock, ManualClock
from sandbox.fault_injector import FaultInjector
from sandbox.faults import Fault
from sandbox.request_log import RequestRecord
from sandbox.sandbox import Sandbox
from sandbox.server import serve
from sandbox.settings import SandboxSettings

__all__ = [
    "Clock",
    "Fault",
    "FaultInjector",
    "ManualClock",
    "RequestRecord",
    "Sandbox",
    "SandboxSettings",
    "serve",
]
