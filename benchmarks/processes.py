"""Starts what is measured and what measures, each on a core of its own, and ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import BenchError
from benchmarks.orders import Order, Report

ROOT = Path(__file__).resolve().parent.parent
END_WITHIN_S = 10.0
LISTEN_WITHIN_S = 10.0
SERVER = "server"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Part(NamedTuple):
    """A process of a server, and what it is: `server`, or which of several that serve together."""

    name: str
    process: "subprocess.Popen[str]"


@dataclass(frozen=True)
class Running:
    """A server.

    Attributes:
        port: where it listens.
        settings: its own word on how it is set up, one a line.
        start_s: from the start of its process until it listened.
        parts: its processes, all of which count.
    """

    port: int
    settings: tuple[str, ...]
    start_s: float
    parts: tuple[Part, ...]

    @property
    def pids(self) -> list[int]:
        """The ids of its processes, in the order of its parts."""
        return [part.process.pid for part in self.parts]

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        for _, process in self.parts:
            process.kill()
            process.wait(END_WITHIN_S)


def free_port() -> int:
    """A port that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def child(words: Sequence[str], core: int | None = None) -> Generator["subprocess.Popen[str]"]:
    """A process on a core, with its standard input and output; ended when left.

    It is in a process group of its own: a Ctrl-C reaches the benchmark alone, which then ends its children.
    """
    with ExitStack() as stack:
        with _undisturbed():
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, process_group=0
            )
            stack.enter_context(process)  # closes its pipes
            stack.callback(_end, process)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})  # its threads, which come later, inherit it
        yield process


@contextmanager
def _undisturbed() -> Generator[None]:
    """Have signals wait: who is interrupted in the middle of starting a process never learns of it, nor ends it."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda which, _: came.append(which)) for number in _ENDING}
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)
        for number in came:
            signal.raise_signal(number)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except BaseException:  # out of time, or a second Ctrl-C
        process.kill()
        process.wait()
        raise


def first_line(process: "subprocess.Popen[str]", what: str) -> str:
    """What a process says first.

    Raises:
        BenchError: it ended without a word, or in the middle; its standard error, which is ours, says why.
    """
    assert process.stdout is not None
    line = ""
    while not line.endswith("\n"):  # of a line longer than a pipe holds, a part has been seen to come alone
        more = process.stdout.readline()
        if not more:
            raise BenchError(f"{what} failed with exit code {process.wait(END_WITHIN_S)}")
        line += more
    return line.rstrip("\n")


@contextmanager
def python_server(core: int | None, kind: str, *more: str) -> Generator[Running]:
    """A server of server_main.py."""
    port, began = free_port(), time.perf_counter()
    with child([sys.executable, "-m", "benchmarks.server_main", kind, str(port), *more], core) as process:
        settings = first_line(process, f"the server {kind}").split("; ")
        yield Running(port, tuple(settings), time.perf_counter() - began, (Part(SERVER, process),))


@contextmanager
def other_server(
    core: int | None, port: int, words: Sequence[str], settings: Sequence[str], name: str = SERVER
) -> Generator[Running]:
    """A server that does not say when it listens."""
    began = time.perf_counter()
    with child(words, core) as process:
        _wait_for_port(port, process)
        yield Running(port, tuple(settings), time.perf_counter() - began, (Part(name, process),))


def _wait_for_port(port: int, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + LISTEN_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise BenchError(f"nothing listens on port {port}")


def carry_out(running: Running, order: Order, core: int | None) -> Report:
    """Let the load generator carry out an order."""
    words = [sys.executable, "-m", "benchmarks.generator", str(running.port), order.to_json(), *map(str, running.pids)]
    with child(words, core) as process:
        return Report.from_json(first_line(process, "the load generator"))
