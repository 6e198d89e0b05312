"""One thin task per endpoint of the API, under the endpoint's own name."""

import prefect.task_engine  # noqa: F401 - now: Prefect does it in a run, where it can race with a thread's

from reporting.run_logging import join_run_logging

join_run_logging()
