"""The schema of the sqlite store, as named files applied in order of their number."""
