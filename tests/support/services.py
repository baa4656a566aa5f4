"""Programs that some tests need beside Python."""

import os
from typing import NoReturn

import pytest


def missing(service: str) -> NoReturn:
    """A service that a test needs is not there: skips at home, fails in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{service} is not there, and CI must have it", pytrace=False)
    pytest.skip(f"{service} is not there")
