"""The quick suite; what needs a server and processes of its own is marked `e2e`."""
