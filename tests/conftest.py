"""Fixtures that every kind of test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringline_broker.testing import ManualClock
from tests.support.beside import WorkerRing
from tests.support.running import Ring


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One URL a kind of store; the scenarios run over each."""
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'ringline.sqlite'}"


@pytest.fixture(params=["memory", "sqlite", "mosquitto"])
def ring(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ring]:
    """A server whose time the test moves: embedded, over each store, and a worker beside Mosquitto."""
    sqlite = f"sqlite:{tmp_path / 'ringline.sqlite'}"
    stores = {"memory": "memory:", "sqlite": sqlite, "mosquitto": sqlite}
    store, clock = stores[request.param], ManualClock()
    with WorkerRing(tmp_path, store, clock) if request.param == "mosquitto" else Ring(store, clock) as ring:
        yield ring


@pytest.fixture
def live(store_url: str) -> Iterator[Ring]:
    """A server in real time."""
    with Ring(store_url) as ring:
        yield ring
