"""Mosquitto, alone and with workers beside it: each process of its own, all on the servers' core."""

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.lab import MOSQUITTO_PROGRAM, REDIS_PROGRAM, Lab, find_program
from benchmarks.processes import Part, Running, child, first_line, free_port, other_server

BROKER: Final = "broker"
WORKER: Final = "worker"
STORE: Final = "redis"
_MOSQUITTO: Final = (
    "allow_anonymous true",
    "persistence false",
    "log_type error",
    "max_inflight_messages 1000",
    "max_queued_messages 100000",
    "set_tcp_nodelay true",
)
_REDIS: Final = ("--appendonly yes", "--appendfsync everysec", "--save ''")
_WORKER: Final = ("--share bench", "--request-rate 0", "--max-open 1000000", "--log-level warning")
"""So few users call far more than anybody would; as for the embedded server, it is no limit that is measured."""


@contextmanager
def mosquitto(lab: Lab) -> Generator[Running]:
    """Mosquitto, with nothing beside it."""
    port, program = free_port(), _found(MOSQUITTO_PROGRAM)
    with TemporaryDirectory(dir=lab.folder) as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text("\n".join((f"listener {port} 127.0.0.1", *_MOSQUITTO, "")))
        with other_server(lab.cores.server, port, [program, "-c", str(config)], _MOSQUITTO, BROKER) as running:
            yield running


@contextmanager
def worker_on_sqlite(lab: Lab) -> Generator[Running]:
    """Mosquitto with one worker, and a fresh sqlite file."""
    with TemporaryDirectory(dir=lab.folder) as folder, ExitStack() as stack:
        broker = stack.enter_context(mosquitto(lab))
        yield _join(stack, lab, broker, f"sqlite:{folder}/bench.sqlite", 1, "store sqlite", "durability full")


@contextmanager
def workers_on_redis(lab: Lab, count: int) -> Generator[Running]:
    """Mosquitto with so many workers, and a fresh redis."""
    with ExitStack() as stack:
        broker, store = stack.enter_context(mosquitto(lab)), stack.enter_context(_redis(lab))
        both = replace(broker, parts=(*broker.parts, *store.parts))
        yield _join(stack, lab, both, f"redis://127.0.0.1:{store.port}", count, *store.settings)


@contextmanager
def _redis(lab: Lab) -> Generator[Running]:
    port, program = free_port(), _found(REDIS_PROGRAM)
    with TemporaryDirectory(dir=lab.folder) as folder:
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--loglevel", "warning"]
        words += [word.strip("'") for option in _REDIS for word in option.split()]
        said = [f"{REDIS_PROGRAM} {option}" for option in _REDIS]
        with other_server(lab.cores.server, port, words, said, STORE) as running:
            yield running


def _join(stack: ExitStack, lab: Lab, broker: Running, store: str, count: int, *said: str) -> Running:
    """Start so many workers beside this broker, which end with the stack."""
    words = [sys.executable, "-m", "ringline", "worker", f"--broker=mqtt://127.0.0.1:{broker.port}", f"--store={store}"]
    words += [word for option in _WORKER for word in option.split()]
    workers: list[Part] = []
    for _ in range(count):
        process = stack.enter_context(child(words, lab.cores.server))
        first_line(process, "a worker")  # said once it has joined the share
        workers.append(Part(WORKER, process))
    many = "1 worker" if count == 1 else f"{count} workers"
    settings = (*broker.settings, *said, f"{many}: ringline worker {' '.join(_WORKER)}", "no TLS")
    return replace(broker, parts=(*broker.parts, *workers), settings=settings)


def _found(name: str) -> str:
    program = find_program(name)
    assert program is not None, f"systems() leaves out what needs {name}"
    return program
