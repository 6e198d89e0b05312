"""What is saved in Prefect: credentials, and which projects a run covers."""
