"""What ends a benchmark early."""


class BenchError(Exception):
    """Said to whoever started it, in one line."""
