"""A stateful stand-in for the image part of the Hetzner Cloud API, on loopback.

As a command: `python -m hetzner_cloud.sandbox --port 8080 --snapshots 60`. In Python:

    with serve(Sandbox(snapshots=60, protected=10)) as sandbox:
        sandbox.faults.add(Fault(kind="error", operation="poll", status=502, times=1))
        ...  # ask sandbox.endpoint with sandbox.token
        assert sandbox.requests[-1].status == 200
"""

from hetzner_cloud.sandbox.clock import Clock, ManualClock
from hetzner_cloud.sandbox.fault_list import Faults
from hetzner_cloud.sandbox.faults import Fault
from hetzner_cloud.sandbox.records import RequestRecord
from hetzner_cloud.sandbox.sandbox import Sandbox
from hetzner_cloud.sandbox.server import serve
from hetzner_cloud.sandbox.settings import SandboxSettings

__all__ = ["Clock", "Fault", "Faults", "ManualClock", "RequestRecord", "Sandbox", "SandboxSettings", "serve"]
