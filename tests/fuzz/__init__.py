"""Fuzzing that is guided by coverage: `make fuzz`."""
