"""This project: its flows as they are, on the Prefect server, with all that they show."""

import asyncio
from collections.abc import Callable
from typing import Any

import fastapi.encoders  # noqa: F401 - imported by Prefect in a process's first run, unless a worker made that
from prefect.client.schemas.objects import State

from benchmarks.contenders.job import Job, run_job
from benchmarks.prefect_side import PRUNING_POLICY
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots


def _run(flow: Callable[..., Any], job: Job, **parameters: object) -> dict[str, str]:
    state: State[Any] = asyncio.run(flow(projects=job.projects, return_state=True, **parameters))
    return {"flow_run": str(state.state_details.flow_run_id), "report": f"{state.name}: {state.message}"}


if __name__ == "__main__":
    run_job(
        {
            "protect": lambda job: _run(protect_snapshots, job),
            "audit": lambda job: _run(audit_snapshot_protection, job),
            "prune": lambda job: _run(prune_snapshots, job, policy=PRUNING_POLICY),
        }
    )
