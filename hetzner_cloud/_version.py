"""The version that this package and the User-Agent header report."""

__version__ = "0.4.0"
