"""The processes of flow runs on a worker."""

from pathlib import Path


def process_of(flow_run_id: object) -> int | None:
    """The process of a flow run that a worker has started."""
    mark = f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes().split(b"\0"):
                return int(environment.parent.name)
        except OSError:
            continue
    return None
