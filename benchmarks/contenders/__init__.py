"""What is compared, each in a separate process: `python -m benchmarks.contenders.NAME JOB`."""
