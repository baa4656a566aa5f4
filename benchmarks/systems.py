"""The servers that are compared."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.beside import mosquitto, worker_on_sqlite, workers_on_redis
from benchmarks.lab import MOSQUITTO_PROGRAM, REDIS_PROGRAM, Lab, find_program
from benchmarks.processes import Running, python_server

OURS: Final = "embedded, sqlite full"
OURS_IN_MEMORY: Final = "embedded, memory"
WORKER_SQLITE: Final = "Mosquitto and a worker, sqlite full"
WORKER_REDIS: Final = "Mosquitto and a worker, redis"
WORKERS_REDIS: Final = "Mosquitto and two workers, redis"
STOCK: Final = "stock aMQTT, bare messages"
MOSQUITTO: Final = "Mosquitto, bare messages"
DATABASE: Final = "bench.sqlite"
BESIDE: Final = (WORKER_SQLITE, WORKER_REDIS, WORKERS_REDIS)
NAMES: Final = (OURS, OURS_IN_MEMORY, *BESIDE, STOCK, MOSQUITTO)


@dataclass(frozen=True)
class System:
    """A server under a load.

    Attributes:
        name: in tables.
        calls: the kind of order that makes a call.
        start: starts it fresh, and ends it when left.
        needs: programs that it cannot do without.
    """

    name: str
    calls: str
    start: Callable[[Lab], AbstractContextManager[Running]]
    needs: tuple[str, ...] = ()


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


def systems(*, memory: bool) -> list[System]:
    """What can be compared here.

    Args:
        memory: ours without a disk too.
    """
    both = (MOSQUITTO_PROGRAM, REDIS_PROGRAM)
    there = [
        System(OURS, "ringline", embedded_fresh),
        System(OURS_IN_MEMORY, "ringline", embedded_memory),
        System(WORKER_SQLITE, "ringline", worker_on_sqlite, (MOSQUITTO_PROGRAM,)),
        System(WORKER_REDIS, "ringline", partial(workers_on_redis, count=1), both),
        System(WORKERS_REDIS, "ringline", partial(workers_on_redis, count=2), both),
        System(STOCK, "bare", _stock),
        System(MOSQUITTO, "bare", mosquitto, (MOSQUITTO_PROGRAM,)),
    ]
    left_out = set[str]() if memory else {OURS_IN_MEMORY}
    return [system for system in there if system.name not in left_out and all(map(find_program, system.needs))]
