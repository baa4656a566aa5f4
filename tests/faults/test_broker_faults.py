"""What befalls the broker that workers and devices use: it is killed, and a worker is cut from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.site import load
from tests.faults.telling import Tell
from tests.faults.workers import Way, working
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import QUICK, RedisServer, eventually, redis_binary
from tests.support.services import missing
from tests.support.tunnel import Tunnel

pytestmark = [pytest.mark.usefixtures("quick"), pytest.mark.xdist_group("heavy")]

TIMES: Final = 3
MOST_TIMES: Final = 20
"""So often at the most, until what can come of it has come."""
CUT_S: Final = 10.0
UNNOTICED_MS: Final = 1_000
"""A worker whose broker acknowledges nothing leaves deadlines to others after so long."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(redis_binary() or missing("redis-server"), *QUICK) as redis:
        yield redis


def test_a_broker_is_killed_and_started_again(
    tmp_path: Path, broker: Mosquitto, redis: RedisServer, tell: Tell
) -> None:
    with working(tmp_path, [Way(broker.port, redis.url)] * 3) as workers, load(broker.port, tell) as calls:
        kills = under_way = 0
        while kills < TIMES or (
            kills < MOST_TIMES and not (workers.count("repeats") and workers.count("link_repeated"))
        ):
            calls.await_calls(calls.rng.randint(20, 40))
            with calls.outage():
                with calls.fleet.all_lose_connection():
                    under_way += calls.break_in_the_middle(broker.kill)
                calls.await_calls(calls.rng.randint(2, 20))
                broker.start()
                calls.fleet.await_all()
                workers.await_sharing()
            kills += 1
        calls.await_calls(40)
        done = calls.judge(workers)
        cut, repeated = calls.fleet.watch.cut, workers.count("link_repeated")
        calls.report(
            tell, workers, done, kills=kills, requests_under_way=under_way, requests_cut=cut,
            published_again_by_workers=repeated,
        )  # fmt: skip
        assert min(under_way, cut, calls.fleet.counts().retries, workers.count("repeats"), repeated) > 0
        assert calls.fleet.connects() >= len(calls.fleet.devices) * (1 + kills)
        calls.fleet.assert_all_synced()


def test_one_worker_of_three_is_cut_from_the_broker(
    tmp_path: Path, broker: Mosquitto, redis: RedisServer, tell: Tell
) -> None:
    with Tunnel(broker.port) as tunnel:
        ways = [Way(port, redis.url) for port in (tunnel.port, broker.port, broker.port)]
        with working(tmp_path, ways) as workers, load(broker.port, tell) as calls:
            calls.await_seconds(1)
            before = len(calls.crowd.calls)
            calls.trouble(UNNOTICED_MS)
            calls.break_in_the_middle(tunnel.hole)
            calls.await_seconds(CUT_S / 2)
            begun = [*calls.crowd.calls.values()][before:]
            calls.await_seconds(CUT_S / 2)
            made, completed = calls.made(begun), calls.completed(begun)
            eventually(lambda: _given_up(broker), "the broker gives up the worker")
            calls.trouble()
            tunnel.mend()
            eventually(lambda: workers.count("link_connects", 0) == 2 and workers.shares(0), "the worker is back")
            calls.await_seconds(1)
            resets = 0
            while resets < 1 or (resets < MOST_TIMES and not workers.count("link_repeated", 0)):
                connects = workers.count("link_connects", 0)
                calls.trouble()
                calls.break_in_the_middle(tunnel.reset)
                calls.await_seconds(2)
                tunnel.mend()
                eventually(lambda n=connects: workers.count("link_connects", 0) > n, "it connects")  # type: ignore[misc]
                eventually(lambda: workers.shares(0), "the worker is back")
                calls.await_seconds(1)
                resets += 1
            done, repeated = calls.judge(workers), workers.count("link_repeated", 0)
            calls.report(
                tell, workers, done, held_up=tunnel.held, times_reset=resets, connections_reset=tunnel.resets,
                given_up_by_broker=_given_up(broker), begun_while_cut=len(begun), made_while_cut=f"{made:.0%}",
                completed_while_cut=f"{completed:.0%}", published_again_by_it=repeated,
            )  # fmt: skip
            assert min(tunnel.held, tunnel.resets, calls.fleet.counts().retries, repeated) > 0
            assert made > 0.9
            assert completed > 0.8


def _given_up(broker: Mosquitto) -> int:
    """How many connections the broker ended because nothing came of them for too long."""
    return sum("exceeded timeout" in line for line in [*broker.log])
