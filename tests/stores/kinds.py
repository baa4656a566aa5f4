"""The kinds of store that the suite runs over, and how tests reach them."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import pytest

from ringline_broker.service.ports import Store
from ringline_broker.stores import open_store
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.made import NOW

T = TypeVar("T")
WITHIN_S = 20
"""What takes real time is awaited so long."""


class Run(Protocol):
    """Runs a coroutine on the test's event loop, to its end."""

    def __call__(self, coro: Coroutine[Any, Any, T], /) -> T: ...


@dataclass(frozen=True)
class Kind:
    """One kind of store.

    Attributes:
        url: its URL; `{folder}` is a folder of the test's own.
        durability: as `open_store` takes it.
        keeps: whether what it has outlives closing it.
    """

    url: str
    durability: str = "full"
    keeps: bool = False


KINDS = {
    "memory": Kind("memory:"),
    "sqlite-full": Kind("sqlite:{folder}/ringline.sqlite", "full", keeps=True),
    "sqlite-normal": Kind("sqlite:{folder}/ringline.sqlite", "normal", keeps=True),
}


@dataclass
class Place:
    """Where the stores of one test are: opened again, it is the same store.

    Attributes:
        clock: the machine's, moved by the test.
    """

    kind: Kind
    folder: Path
    run: Run
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    _opened: list[Store] = field(default_factory=list[Store])

    def open(self) -> Store:
        store = open_store(self.kind.url.format(folder=self.folder), self.clock, self.kind.durability)
        self._opened.append(store)
        return store

    def open_sqlite(self) -> SqliteStore:
        store = self.open()
        assert isinstance(store, SqliteStore)
        return store

    @property
    def path(self) -> Path:
        return Path(self.kind.url.format(folder=self.folder).partition(":")[2])

    def close(self) -> None:
        """Close whatever was opened."""
        for store in self._opened:
            self.run(store.close())


class Held:
    """A job that holds the store's thread inside a transaction until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._go = threading.Event()

    def __call__(self, _: sqlite3.Connection) -> None:
        self.begun.set()
        assert self._go.wait(WITHIN_S)

    def let_go(self) -> None:
        self._go.set()


def missing(service: str) -> NoReturn:
    """A service that a kind of store needs is not there: skips at home, fails in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{service} is not there, and CI must have it", pytrace=False)
    pytest.skip(f"{service} is not there")


async def turn() -> None:
    """Let everything on the loop run that can."""
    loop = asyncio.get_running_loop()
    for _ in range(10):
        passed: asyncio.Future[None] = loop.create_future()
        loop.call_soon(passed.set_result, None)
        await passed
