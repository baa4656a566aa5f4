"""One contract suite over every kind of store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringline_broker.service.ports import Store
from ringline_broker.testing import ManualClock
from tests.stores.kinds import KINDS, Place, Run
from tests.support.redis_servers import QUICK, RedisServer, redis_binary, valkey_binary
from tests.support.services import missing


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def binary() -> str:
    """The program, for tests that start servers of their own."""
    return redis_binary() or missing("redis-server")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    with RedisServer(valkey_binary() or missing("valkey-server"), *QUICK) as server:
        yield server


def place_of(request: pytest.FixtureRequest, folder: Path, run: Run) -> Place:
    kind = KINDS[request.param]
    if not kind.server:
        return Place(kind, folder, run)
    server: RedisServer = request.getfixturevalue(kind.server)
    server.call("FLUSHALL")
    return Place(kind, folder, run, server.address)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, run: Run) -> Iterator[Place]:
    place = place_of(request, tmp_path, run)
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
    place = place_of(request, tmp_path, run)
    yield place
    place.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test opens sqlite stores itself."""
    return tmp_path / "ringline.sqlite"


@pytest.fixture
def sqlite(tmp_path: Path, run: Run) -> Iterator[Place]:
    place = Place(KINDS["sqlite-full"], tmp_path, run)
    yield place
    place.close()
