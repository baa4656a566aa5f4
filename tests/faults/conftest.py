"""Fixtures of the fault tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server_process import ServerProcess
from tests.faults.site import MOSQUITTO
from tests.faults.telling import Tell
from tests.support.mosquitto import Mosquitto


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Tell:
    def say(**what: object) -> None:
        name = request.node.name
        line = f"\n{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in what.items())
        with capfd.disabled():
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    return say


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of this process come back to a server after a tenth of the time they would take."""
    monkeypatch.setattr("ringline.connection.FIRST_BACKOFF_S", 0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server in a process of its own, with its invitations on disk."""
    with ServerProcess(tmp_path) as server:
        yield server
    server.assert_no_fault_logged()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """The broker between workers and devices."""
    with Mosquitto(tmp_path, MOSQUITTO) as broker:
        yield broker
