"""What a run costs, beside what people would use instead: `make bench`."""
