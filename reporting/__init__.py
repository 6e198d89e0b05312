"""What a run shows: log, progress, artifacts, events."""
