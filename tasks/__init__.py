"""One thin task per endpoint of the API, under the endpoint's own name."""

import prefect.task_engine  # noqa: F401 - now: Prefect does it in a run, where it can race with a thread's

from tasks.run_log import join_run_log

join_run_log()
