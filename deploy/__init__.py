"""Putting what prefect.yaml describes on a Prefect server, and leaving there what people have set."""
