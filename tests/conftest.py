"""Fixtures that every kind of test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ringline_broker.testing import ManualClock
from tests.support.beside import WorkerRing
from tests.support.redis_servers import QUICK, RedisServer, redis_binary
from tests.support.running import Ring
from tests.support.services import missing

# what is made up is judged by what comes of it, never by how long it took: the machine may have other things to do
settings.register_profile(
    "untimed",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests of a process that need no more than that; each empties it first."""
    with RedisServer(redis_binary() or missing("redis-server"), *QUICK) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One URL a kind of store; the scenarios run over each."""
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'ringline.sqlite'}"


@pytest.fixture(params=["memory", "sqlite", "mosquitto", "mosquitto-redis"])
def ring(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ring]:
    """A server whose time the test moves: embedded, over each store that one process has for itself, and a worker
    beside Mosquitto, over sqlite and over redis, where groups have topics of their own.
    """
    clock, store = ManualClock(), f"sqlite:{tmp_path / 'ringline.sqlite'}"
    if request.param == "mosquitto-redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.call("FLUSHALL")
        store = server.url
    elif request.param == "memory":
        store = "memory:"
    beside, group_topics = request.param.startswith("mosquitto"), request.param == "mosquitto-redis"
    with WorkerRing(tmp_path, store, clock, group_topics=group_topics) if beside else Ring(store, clock) as ring:
        yield ring


@pytest.fixture
def live(store_url: str) -> Iterator[Ring]:
    """A server in real time."""
    with Ring(store_url) as ring:
        yield ring
