"""The stories: what a person deploys, schedules and starts."""
