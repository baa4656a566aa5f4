"""How long a test waits for what must come."""

from typing import Final

BOUND_S: Final = 60.0
"""Seconds after which it does not come any more, on a machine that is slow and busy with other tests. What is slow is
found by benchmarks, never by a test.
"""
