"""The servers that are compared."""

import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.machine import Cores
from benchmarks.processes import Running, free_port, other_server, python_server

OURS: Final = "embedded, sqlite full"
OURS_IN_MEMORY: Final = "embedded, memory"
STOCK: Final = "stock aMQTT, bare messages"
MOSQUITTO: Final = "Mosquitto, bare messages"
DATABASE: Final = "bench.sqlite"
NAMES: Final = (OURS, OURS_IN_MEMORY, STOCK, MOSQUITTO)
_MOSQUITTO_SETTINGS: Final = (
    "allow_anonymous true",
    "persistence false",
    "log_type error",
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "set_tcp_nodelay true",
)


@dataclass(frozen=True)
class Lab:
    """Where servers run.

    Attributes:
        folder: for their files; on the disk that a real server would use.
        cores: for them and for the load generator.
    """

    folder: Path
    cores: Cores


@dataclass(frozen=True)
class System:
    """A server under a load.

    Attributes:
        name: in tables.
        calls: the kind of order that makes a call.
        start: starts it fresh, and ends it when left.
    """

    name: str
    calls: str
    start: Callable[[Lab], AbstractContextManager[Running]]


def mosquitto_program() -> str | None:
    """Where Mosquitto is, which need not be on a user's path; None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def embedded_on(lab: Lab, folder: Path, *more: str) -> Generator[Running]:
    """Ours on the sqlite file of this folder, made where missing; with more options of server_main.py."""
    with python_server(lab.cores.server, "embedded", f"--store=sqlite:{folder / DATABASE}", *more) as running:
        yield running


@contextmanager
def embedded_fresh(lab: Lab, *more: str) -> Generator[Running]:
    """Ours on a fresh sqlite file; with more options of server_main.py."""
    with TemporaryDirectory(dir=lab.folder) as folder, embedded_on(lab, Path(folder), *more) as running:
        yield running


def embedded_memory(lab: Lab, *more: str) -> AbstractContextManager[Running]:
    """Ours, with nothing on disk; with more options of server_main.py."""
    return python_server(lab.cores.server, "embedded", *more)


def _stock(lab: Lab) -> AbstractContextManager[Running]:
    return python_server(lab.cores.server, "amqtt")


@contextmanager
def _mosquitto(lab: Lab) -> Generator[Running]:
    port, program = free_port(), mosquitto_program()
    assert program is not None
    with TemporaryDirectory(dir=lab.folder) as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text("\n".join((f"listener {port} 127.0.0.1", *_MOSQUITTO_SETTINGS, "")))
        with other_server(lab.cores.server, port, [program, "-c", str(config)], _MOSQUITTO_SETTINGS) as running:
            yield running


def systems(*, memory: bool) -> list[System]:
    """What can be compared here.

    Args:
        memory: ours without a disk too.
    """
    there = [
        System(OURS, "ringline", embedded_fresh),
        System(OURS_IN_MEMORY, "ringline", embedded_memory),
        System(STOCK, "bare", _stock),
        System(MOSQUITTO, "bare", _mosquitto),
    ]
    left_out = {OURS_IN_MEMORY} if not memory else set[str]()
    left_out |= {MOSQUITTO} if mosquitto_program() is None else set[str]()
    return [system for system in there if system.name not in left_out]
