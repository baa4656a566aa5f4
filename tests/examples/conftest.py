"""A server and a cast for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.embedded import EmbeddedServer
from tests.examples.cast import Cast


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with EmbeddedServer(tmp_path) as server:
        yield server.url


@pytest.fixture
def cast(url: str) -> Iterator[Cast]:
    """At the end of the test nobody may have shown more than it expected."""
    with Cast(url) as cast:
        yield cast
    cast.stage.curtain()
