"""What a run costs, compared with the alternatives: `make bench`."""
