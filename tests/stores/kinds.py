"""The kinds of store that the suite runs over, and how tests reach them."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Store
from ringline_broker.stores import open_store
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.store import RedisStore
from ringline_broker.stores.redis.url import is_redis, parse
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
        url: its URL; `{folder}` is a folder of the test's own, `{redis}` the host and port of a server.
        durability: as `open_store` takes it.
        keeps: whether what it has outlives closing it.
        server: the fixture that has the server it needs.
    """

    url: str
    durability: str = "full"
    keeps: bool = False
    server: str = ""


KINDS = {
    "memory": Kind("memory:"),
    "sqlite-full": Kind("sqlite:{folder}/ringline.sqlite", "full", keeps=True),
    "sqlite-normal": Kind("sqlite:{folder}/ringline.sqlite", "normal", keeps=True),
    "redis": Kind("redis://{redis}", keeps=True, server="redis_server"),
    "redis-4-shards": Kind("redis://{redis}?shards=4", keeps=True, server="redis_server"),
    "valkey": Kind("redis://{redis}", keeps=True, server="valkey_server"),
}


@dataclass
class Place:
    """Where the stores of one test are: opened again, it is the same store.

    Attributes:
        clock: the machine's, moved by the test.
        redis: host and port of the server, for kinds that need one.
    """

    kind: Kind
    folder: Path
    run: Run
    redis: str = ""
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    _opened: list[Store] = field(default_factory=list[Store])

    def open(self) -> Store:
        url = self.kind.url.format(folder=self.folder, redis=self.redis)
        if is_redis(url):
            store: Store = RedisStore(parse(url), self.clock, MachineTime(self.clock))
        else:
            store = open_store(url, self.clock, self.kind.durability)
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


class MachineTime(ServerTime):
    """As if the server's clock were that of the test's machine when the store was opened or, where that was set back,
    the newest time in the store: redis lets nobody set its clock.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._machine = clock
        self._server: SteadyTime | None = None

    def heard(self, server_ms: int, written_ms: int, begun: int) -> None:
        assert server_ms > NOW, "it is the time, in milliseconds"
        self._server = self._server or SteadyTime(self._machine, written_ms)
        super().heard(self._server.now(), written_ms, begun)


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


@asynccontextmanager
async def held_up(store: SqliteStore) -> AsyncGenerator[None]:
    """Inside, a transaction of the store's has begun and all calls wait for it; on the way out it is let go."""
    holding = Held()
    held = asyncio.create_task(store._thread.run(holding))
    await asyncio.to_thread(holding.begun.wait, WITHIN_S)
    try:
        yield
    finally:
        holding.let_go()
    await held


def watch(run: Run, store: SqliteStore) -> list[str]:
    """The statements that the store's connection runs from now on."""
    seen: list[str] = []
    run(store._thread.run(lambda db: db.set_trace_callback(seen.append)))
    seen.clear()
    return seen
