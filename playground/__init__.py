"""A Prefect server and sandboxes on loopback, to try everything without a Hetzner account."""
