"""One thin task per endpoint of the API, under the endpoint's own name."""

from tasks.run_log import join_run_log

join_run_log()
