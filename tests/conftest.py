"""Fixtures that every kind of test may use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from ringline_broker.testing import ManualClock
from tests.support.beside import WorkerRing
from tests.support.redis_servers import QUICK, RedisServer, redis_binary
from tests.support.running import Ring
from tests.support.services import missing
from tests.support.timed import TimedRing

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


SITES: Final = (
    "amqtt-memory", "amqtt-sqlite", "amqtt-redis", "mosquitto-memory", "mosquitto-sqlite", "mosquitto-redis",
    "mosquitto-redis-topics",
)  # fmt: skip
"""Broker and store. Groups have topics of their own on aMQTT, and beside a Mosquitto where it says so; elsewhere their
events go to each member.
"""


@pytest.fixture(params=SITES)
def ring(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ring]:
    """A server whose time the test moves: embedded, or a worker beside a Mosquitto, each over every store."""
    clock = ManualClock()
    broker, kind, *topics = request.param.split("-")
    store = _store(request, kind, tmp_path)
    beside = broker == "mosquitto"
    with WorkerRing(tmp_path, store, clock, group_topics=bool(topics)) if beside else TimedRing(store, clock) as ring:
        yield ring


def _store(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """The URL of an empty store."""
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.call("FLUSHALL")
        return server.url
    return "memory:" if kind == "memory" else f"sqlite:{folder / 'ringline.sqlite'}"


@pytest.fixture
def live(store_url: str) -> Iterator[Ring]:
    """A server in real time."""
    with Ring(store_url) as ring:
        yield ring
