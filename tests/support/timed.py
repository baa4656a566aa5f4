"""Processes whose redis has the time of the test's clock, since a real one's cannot be moved."""

from typing import Any

from ringline_broker.server import Server
from ringline_broker.service.ports import Clock, Store
from ringline_broker.stores.redis.store import RedisStore
from ringline_broker.stores.redis.url import is_redis, parse
from ringline_broker.testing import ManualClock
from tests.stores.kinds import MachineTime
from tests.support.running import Ring


def redis_on_test_time(url: str, clock: Clock) -> Store | None:
    """A store whose server has the clock's time; None where the store is another, or the clock is not moved by hand."""
    if not is_redis(url) or not isinstance(clock, ManualClock):
        return None
    return RedisStore(parse(url), clock, MachineTime(clock))


class TimedServer(Server):
    """An embedded server of which that is true."""

    def open_store(self) -> Store:
        return redis_on_test_time(self._config.store, self._clock) or super().open_store()


class TimedRing(Ring):
    """A ring over such a server."""

    def _new_server(self) -> Any:
        return TimedServer(self._config, self.clock)
