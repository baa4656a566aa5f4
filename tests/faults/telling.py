"""Says what a fault test really did."""

from collections.abc import Callable

Tell = Callable[..., None]
"""Prints it on the terminal, whoever captures the output of tests."""
