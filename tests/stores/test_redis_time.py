"""Processes that share a redis store agree on what time it is, also where its server's clock is behind."""

from collections.abc import Iterator

import pytest

from ringline_broker.service.ports import Store, StoreUnavailable
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.store import RedisStore
from ringline_broker.stores.redis.url import parse
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE
from tests.stores.kinds import Run
from tests.stores.made import NOW, first, rung
from tests.stores.redis_keys import BASE
from tests.support.redis_servers import RedisServer

BEHIND_MS = 60_000
LOOK_MS = 1_000
"""How often a process looks at the time; so far apart two may be."""


class LateServer(ServerTime):
    """As if the server's clock were behind the newest time in the store, as after a failover: redis lets nobody set
    it.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._machine = clock

    def heard(self, server_ms: int, written_ms: int, begun: int) -> None:
        assert server_ms > NOW, "it is the time, in milliseconds"
        super().heard(self._machine.wall_ms() - BEHIND_MS, written_ms, begun)


class Workers:
    """Processes that look at the store all the time; the newest time in it is the clock's when the first is opened."""

    def __init__(self, run: Run, server: RedisServer) -> None:
        self._run, self._server = run, server
        self.clock = ManualClock(NOW)
        self.stores: list[Store] = []

    def open(self) -> Store:
        self.stores.append(RedisStore(parse(self._server.url), self.clock, LateServer(self.clock)))
        return self.stores[-1]

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1_000)
            for store in self.stores:
                self._run(store.next_due())


@pytest.fixture
def workers(run: Run, redis_server: RedisServer) -> Iterator[Workers]:
    redis_server.call("FLUSHALL")
    redis_server.call("SET", f"{BASE}clock", NOW * 1_000)
    workers = Workers(run, redis_server)
    yield workers
    for store in workers.stores:
        run(store.close())


def test_who_starts_after_a_quiet_time_moves_no_deadline(run: Run, workers: Workers) -> None:
    old = workers.open()
    workers.pass_time(600)
    new = workers.open()
    assert abs(old.now() - new.now()) <= LOOK_MS
    one = rung("i1", now=new.now(), timeout=30)
    assert run(new.commit([first(one)])) == [True]
    workers.pass_time(28)
    assert run(old.claim_due(LEASE, 10)) == []
    workers.pass_time(3)
    assert run(old.claim_due(LEASE, 10)) == ["i1"]


def test_who_is_alone_comes_down_to_a_server_that_is_behind(workers: Workers) -> None:
    store = workers.open()
    before = store.now()
    workers.pass_time(600)
    assert 0 < before + 600_000 - store.now() <= 600, "time goes on, a little slower"


def test_opening_a_store_that_is_none_of_ours_leaves_its_clock(redis_server: RedisServer) -> None:
    redis_server.call("FLUSHALL")
    redis_server.call("SET", f"{BASE}layout", "1 1")
    with pytest.raises(StoreUnavailable, match="has layout 1"):
        RedisStore(parse(redis_server.url), ManualClock(NOW), LateServer(ManualClock(NOW)))
    assert not redis_server.call("EXISTS", f"{BASE}clock")
