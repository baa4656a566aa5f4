"""What befalls redis under workers that use it: it is killed, it is slow, it is cut off, a cluster fails over."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.faults.site import load
from tests.faults.telling import Tell
from tests.faults.workers import Way, working
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import (
    KEEPING,
    QUICK,
    RedisServer,
    cluster,
    eventually,
    redis_binary,
    valkey_binary,
)
from tests.support.services import missing
from tests.support.tunnel import Tunnel

pytestmark = [pytest.mark.usefixtures("quick"), pytest.mark.xdist_group("heavy")]

TIMES: Final = 3
CUT_S: Final = 10.0
SLOW_CALLS: Final = 15


def test_a_store_is_killed_and_started_again(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with (
        RedisServer(binary, *KEEPING) as redis,
        working(tmp_path, [Way(broker.port, redis.url)] * 3) as workers,
        load(broker.port, tell) as calls,
    ):
        under_way = 0
        for _ in range(TIMES):
            calls.await_calls(calls.rng.randint(20, 40))
            redis.kill()
            under_way += calls.crowd.unanswered()
            calls.await_calls(calls.rng.randint(5, 30))
            redis.start()
        calls.await_calls(40)
        done = calls.judge(outage_s=4)
        left = workers.count("link_pauses")
        calls.report(tell, workers, done, kills=TIMES, requests_under_way=under_way, workers_left_the_share=left)
        assert min(under_way, calls.fleet.counts().retries) > 0


def test_one_worker_of_three_is_cut_from_the_store(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with RedisServer(binary, *QUICK) as redis, Tunnel(redis.port) as tunnel:
        ways = [Way(broker.port, f"redis://127.0.0.1:{port}") for port in (tunnel.port, redis.port, redis.port)]
        with working(tmp_path, ways) as workers, load(broker.port, tell) as calls:
            calls.await_seconds(1)
            before = len(calls.crowd.calls)
            tunnel.hole()
            calls.await_seconds(CUT_S / 2)
            begun = [*calls.crowd.calls.values()][before:]
            calls.await_seconds(CUT_S / 2)
            answered = calls.answered(begun)
            left = workers.count("link_pauses", 0)
            tunnel.mend()
            eventually(lambda: workers.shares(0), "the worker is back in the share")
            calls.await_seconds(1)
            tunnel.reset()
            eventually(lambda: not workers.shares(0), "the worker left the share")
            calls.await_seconds(2)
            tunnel.mend()
            eventually(lambda: workers.shares(0), "the worker is back in the share")
            calls.await_seconds(1)
            done = calls.judge()
            calls.report(
                tell, workers, done, held_up=tunnel.held, connections_reset=tunnel.resets,
                begun_while_cut=len(begun), answered_while_cut=f"{answered:.0%}",
            )  # fmt: skip
            assert min(left, tunnel.held, tunnel.resets) > 0
            assert answered > 0.9


def test_a_store_answers_slowly(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = valkey_binary() or missing("valkey-server")
    with ExitStack() as stack:
        store = stack.enter_context(RedisServer(binary, *QUICK))
        tunnels = [stack.enter_context(Tunnel(store.port)) for _ in range(3)]
        ways = [Way(broker.port, f"redis://127.0.0.1:{tunnel.port}") for tunnel in tunnels]
        workers = stack.enter_context(working(tmp_path, ways))
        calls = stack.enter_context(load(broker.port, tell, every_s=0.2))
        slow_since = time.monotonic()
        for tunnel in tunnels:
            tunnel.delay(0.2)
        before = len(calls.crowd.calls)
        calls.await_calls(SLOW_CALLS)
        begun = [*calls.crowd.calls.values()][before:]
        eventually(lambda: calls.answered(begun) == 1, "calls are answered by a store that takes 200 ms")
        answered_s, left_at_200_ms = time.monotonic() - slow_since, workers.count("link_pauses")
        for tunnel in tunnels:
            tunnel.delay(2.0)
        eventually(lambda: not any(map(workers.shares, range(3))), "all workers left the share")
        calls.await_seconds(2)
        for tunnel in tunnels:
            tunnel.mend()
        eventually(lambda: all(map(workers.shares, range(3))), "all workers are back in the share")
        slow_s = time.monotonic() - slow_since
        calls.await_seconds(1)
        done = calls.judge(outage_s=slow_s)
        calls.report(
            tell, workers, done, slow_s=round(slow_s, 1), late_replies=sum(tunnel.held for tunnel in tunnels),
            begun_at_200_ms=len(begun), answered_after_s=round(answered_s, 1), workers_left_at_200_ms=left_at_200_ms,
        )  # fmt: skip
        assert calls.fleet.counts().retries > 0


def test_a_cluster_fails_over(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with cluster(binary) as nodes:
        url = f"redis+cluster://{','.join(node.address for node in nodes)}?shards=4&wait=1"
        with working(tmp_path, [Way(broker.port, url)] * 3) as workers, load(broker.port, tell) as calls:
            under_way = 0
            for at in range(2):
                calls.await_seconds(2)
                nodes[at].kill()
                under_way += calls.crowd.unanswered()
                eventually(lambda at=at: _is_primary(nodes[3 + at]), "the replica takes over")  # type: ignore[misc]
                nodes[at].start()
                eventually(nodes[at].follows, "who was killed follows")
            calls.await_seconds(3)
            done = calls.judge(outage_s=6)
            calls.report(tell, workers, done, failovers=2, requests_under_way=under_way)
            assert min(under_way, calls.fleet.counts().retries) > 0


def _is_primary(node: RedisServer) -> bool:
    return bool(node.call("ROLE")[0] == b"master")
