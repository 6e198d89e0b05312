"""Puts what prefect.yaml describes on a Prefect server; never overwrites what operators have set there."""
