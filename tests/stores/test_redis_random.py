"""Random histories hold the redis store against the reference model, through restarts of the process and of nothing
else: the server's own are in test_redis.py.
"""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, rule

from ringline_broker.stores.marks import Handed
from ringline_broker.stores.redis.store import RedisStore
from ringline_broker.stores.redis.url import parse
from ringline_broker.stores.redis.values import read
from tests.stores.histories import Histories
from tests.stores.kinds import MachineTime
from tests.stores.redis_keys import BASE, indexes_in, indexes_of_records
from tests.support.redis_servers import RedisServer


class RedisHistories(Histories):
    """The same calls on both stores; what can be seen of them must be the same after each."""

    server: ClassVar[RedisServer]
    owns_its_store = False

    def __init__(self) -> None:
        self.server.call("FLUSHALL")
        super().__init__()

    def open(self) -> RedisStore:
        return RedisStore(parse(self.server.url), self.clock, MachineTime(self.clock))

    def newest_written(self) -> int:
        """A process that is open writes what time it is without a commit too."""
        written = int(self.server.call("GET", f"{BASE}clock")) // 1_000
        assert self.newest <= written <= self.model.now()
        return written

    def handed_of(self, kind: str, name: str, mark: int) -> Handed:
        handed = read(self.server.call("GET", f"{BASE}{kind}:{name}".encode())).handed
        assert handed.mark == mark
        return handed

    @rule()
    def the_process_is_killed(self) -> None:
        """What it had not sent, marks, is gone."""
        assert isinstance(self.store, RedisStore)
        for lane in self.store._servers._places.lanes():
            lane._jobs.clear()
        self.run(self.store.close())
        self.store = self.open()
        self.check_restarted()

    @rule()
    def the_server_forgets_its_scripts(self) -> None:
        """The next call tells it all of them again; a mark that goes with it would come late, as marks may."""
        self.server.call("SCRIPT", "FLUSH")
        assert self.run(self.store.claim_due(1, 0)) == []

    @invariant()
    def there_is_all_that_the_records_say_and_no_more(self) -> None:
        assert indexes_in(self.server) == indexes_of_records(self.server)


class ValkeyHistories(RedisHistories):
    """The same on the other server."""


@pytest.fixture(autouse=True)
def _servers(request: pytest.FixtureRequest) -> Iterator[None]:
    which = RedisHistories if "Redis" in request.node.nodeid else ValkeyHistories
    which.server = request.getfixturevalue("redis_server" if which is RedisHistories else "valkey_server")
    yield
    del which.server


_few = settings(max_examples=10, stateful_step_count=40)
TestRedis = pytest.mark.timeout(900)(RedisHistories.TestCase)  # a failure takes minutes to be made small
TestRedis.settings = _few
TestValkey = pytest.mark.timeout(900)(ValkeyHistories.TestCase)
TestValkey.settings = _few
