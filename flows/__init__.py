"""The flows that can be deployed, and their parts, which start with an underscore."""
