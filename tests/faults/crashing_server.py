"""Servers to be killed: python -m tests.faults.crashing_server --port P --data FILE.

Importing takes longer than starting, so one process imports everything and forks a server for each line `start` that it
reads. With `start POINT:N` the server kills itself with SIGKILL the Nth time it comes past a point. Every server says
`ready PID` when it listens; how it ended is said as `ended STATUS`. SIGTERM stops one as it should, and so does the end
of the standard input, so that none outlives its test.

| point | where |
|---|---|
| after-commit | a commit is on disk, nothing of it is published |
| inside-publish | one message of a turn is with the broker, the others are not |
| after-publish | everything is published, the mark has not moved |
| inside-batch | between two writes of one transaction |
| inside-recovery | a restart has published what was left, and not marked it |
| after-group-commit | a group's change is on disk, and nothing that follows from it has happened |
| after-group-publish | everything that follows has happened, the answer is on its way, the mark has not moved |
"""

import argparse
import asyncio
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringline_broker.bindings.amqtt.binding import AmqttBinding, Listener
from ringline_broker.server import Server, ServerConfig
from ringline_broker.service.ports import Change, Clock, GroupChange, Mark, Reach, Store
from ringline_broker.settings import Settings
from ringline_broker.stores.sqlite import SqliteStore

POINTS = (
    "after-commit", "inside-publish", "after-publish", "inside-batch", "inside-recovery", "after-group-commit",
    "after-group-publish",
)  # fmt: skip


class Fuse:
    """Burns down at one point, and takes the process with it."""

    def __init__(self, plan: str) -> None:
        self.point, _, times = plan.partition(":")
        self._left = int(times or 1)
        self.is_armed = False
        if plan and self.point not in POINTS:
            raise ValueError(f"no such point: {plan!r}; there are {', '.join(POINTS)}")

    def burn(self, point: str) -> None:
        """The process came past a point. Those of normal work count once the server listens."""
        if point != self.point or not (self.is_armed or point == "inside-recovery"):
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedStore(SqliteStore):
    """Burns a fuse around commits and marks."""

    def __init__(self, path: Path, clock: Clock, fuse: Fuse) -> None:
        super().__init__(path, clock)
        self._fuse = fuse

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        written = await super().commit(changes)
        self._fuse.burn("after-commit")
        return written

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        written = await super().commit_groups(changes)
        self._fuse.burn("after-group-commit")
        return written

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        self._fuse.burn("after-group-publish" if self._fuse.is_armed else "inside-recovery")
        await super().mark_groups(marks)

    async def mark(self, marks: Sequence[Mark]) -> None:
        self._fuse.burn("after-publish" if self._fuse.is_armed else "inside-recovery")
        await super().mark(marks)


class FusedStatements:
    """Burns a fuse before every statement but the first that writes an invitation or a party in one transaction."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._writes = 0

    def follow(self) -> None:
        """See the statements of every connection made from now on."""
        connect = sqlite3.connect

        def connect_and_follow(*args: Any, **more: Any) -> sqlite3.Connection:
            db: sqlite3.Connection = connect(*args, **more)
            db.set_trace_callback(self._trace)
            return db

        sqlite3.connect = connect_and_follow  # type: ignore[assignment]

    def _trace(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._writes = 0
        elif statement.startswith(("INSERT", "UPDATE invitation SET inviter")):
            self._writes += 1
            if self._writes > 1:
                self._fuse.burn("inside-batch")


class FusedBinding(AmqttBinding):
    """Burns a fuse after each message of events."""

    fuse: Fuse

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach:
        reach = super().publish(topic, payload, expiry_ms)
        if topic.endswith("/evt"):
            self.fuse.burn("inside-publish")
        return reach


class CrashingServer(Server):
    """A server with a fuse in it."""

    def __init__(self, port: int, data: Path, fuse: Fuse) -> None:
        # a short lease: a deadline that was claimed just before a kill is claimed again after it
        super().__init__(ServerConfig({"default": Listener(port=port)}, settings=Settings(lease_s=1, request_rate=0)))
        self._data = data
        self._fuse = fuse

    def open_store(self) -> Store:
        if self._fuse.point == "inside-batch":
            FusedStatements(self._fuse).follow()
        return FusedStore(self._data, self._clock, self._fuse)

    def make_binding(self) -> AmqttBinding:
        made = super().make_binding()
        binding = FusedBinding(made._listeners, made._topics)
        binding.fuse = self._fuse
        return binding


async def serve(port: int, data: Path, fuse: Fuse) -> None:
    """Serve until it is told to stop, or whoever started it is gone."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(sys.stdin, over.set)
    server = CrashingServer(port, data, fuse)
    await server.start()
    fuse.is_armed = True
    _say(f"ready {os.getpid()}")
    await over.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            asyncio.run(serve(arguments.port, arguments.data, Fuse(line.removeprefix("start").strip())))
            return
        _, status = os.waitpid(child, 0)
        _say(f"ended {os.waitstatus_to_exitcode(status)}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
