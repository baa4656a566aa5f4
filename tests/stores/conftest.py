"""One contract suite over every kind of store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringline_broker.service.ports import Store
from ringline_broker.testing import ManualClock
from tests.stores.kinds import KINDS, Place, Run


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, run: Run) -> Iterator[Place]:
    place = Place(KINDS[request.param], tmp_path, run)
    yield place
    place.close()


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture
def clock(place: Place) -> ManualClock:
    return place.clock


@pytest.fixture(params=[name for name, kind in KINDS.items() if kind.keeps])
def kept(request: pytest.FixtureRequest, tmp_path: Path, run: Run) -> Iterator[Place]:
    """A place whose stores outlive being closed."""
    place = Place(KINDS[request.param], tmp_path, run)
    yield place
    place.close()
