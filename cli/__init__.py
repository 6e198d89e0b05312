"""The command `hetzner-snapshots`."""
