"""All that knows Hetzner Cloud's images and actions, and nothing that knows Prefect."""

__version__ = "0.4.0"
