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
CUT_S: Final = 10.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(redis_binary() or missing("redis-server"), *QUICK) as redis:
        yield redis


def test_a_broker_is_killed_and_started_again(
    tmp_path: Path, broker: Mosquitto, redis: RedisServer, tell: Tell
) -> None:
    with working(tmp_path, [Way(broker.port, redis.url)] * 3) as workers, load(broker.port, tell) as calls:
        for _ in range(TIMES):
            calls.await_calls(calls.rng.randint(20, 40))
            with calls.fleet.all_lose_connection():
                broker.kill()
            calls.await_calls(calls.rng.randint(2, 20))
            broker.start()
            calls.fleet.await_all()
        calls.await_calls(40)
        done = calls.judge(unheard_s=4)
        cut = calls.fleet.watch.cut
        calls.report(tell, workers, done, kills=TIMES, requests_cut=cut)
        assert min(cut, calls.fleet.counts().retries, calls.fleet.counts().syncs) > 0


def test_one_worker_of_three_is_cut_from_the_broker(
    tmp_path: Path, broker: Mosquitto, redis: RedisServer, tell: Tell
) -> None:
    with Tunnel(broker.port) as tunnel:
        ways = [Way(port, redis.url) for port in (tunnel.port, broker.port, broker.port)]
        with working(tmp_path, ways) as workers, load(broker.port, tell) as calls:
            calls.await_seconds(1)
            before = len(calls.crowd.calls)
            tunnel.hole()
            calls.await_seconds(CUT_S / 2)
            begun = [*calls.crowd.calls.values()][before:]
            calls.await_seconds(CUT_S / 2)
            answered = calls.answered(begun)
            given_up = sum("exceeded timeout" in line for line in broker.log)
            tunnel.mend()
            eventually(lambda: workers.count("link_connects", 0) == 2 and workers.shares(0), "the worker is back")
            calls.await_seconds(1)
            tunnel.reset()
            calls.await_seconds(2)
            tunnel.mend()
            eventually(lambda: workers.count("link_connects", 0) >= 3 and workers.shares(0), "the worker is back")
            calls.await_seconds(1)
            done = calls.judge(unheard_s=CUT_S)
            calls.report(
                tell, workers, done, held_up=tunnel.held, connections_reset=tunnel.resets, given_up_by_broker=given_up,
                begun_while_cut=len(begun), answered_while_cut=f"{answered:.0%}",
            )  # fmt: skip
            assert min(tunnel.held, tunnel.resets) > 0
            assert answered > 0.9
