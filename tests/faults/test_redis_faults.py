"""What befalls redis under workers that use it: it is killed, it is slow, it is cut off, a cluster fails over."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.faults.site import load
from tests.faults.telling import Tell
from tests.faults.workers import Way, Workers, working
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
MOST_TIMES: Final = 20
"""So often at the most, until what can come of it has come."""
CUT_S: Final = 10.0
SLOW_CALLS: Final = 15
SLOW_REPLIES: Final = 20
"""For so many replies of the store a deadline may have to wait, one after the other: those of the turn before it, its
own, and again where another worker had claimed it too, since a claim that takes long outlasts the lease.
"""


def test_a_store_is_killed_and_started_again(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with (
        RedisServer(binary, *KEEPING) as redis,
        working(tmp_path, [Way(broker.port, redis.url)] * 3) as workers,
        load(broker.port, tell) as calls,
    ):
        kills = under_way = 0
        while kills < TIMES or (kills < MOST_TIMES and not workers.count("recovered")):
            calls.await_calls(calls.rng.randint(20, 40))
            with calls.outage():
                under_way += calls.break_in_the_middle(redis.kill)
                calls.await_calls(calls.rng.randint(5, 30))
                redis.start()
                workers.await_sharing()
            kills += 1
        calls.await_calls(40)
        done = calls.judge(workers)
        left = workers.count("link_pauses")
        calls.report(tell, workers, done, kills=kills, requests_under_way=under_way, workers_left_the_share=left)
        counts = calls.fleet.counts()
        assert min(under_way, left, counts.retries, workers.count("recovered")) > 0


def test_one_worker_of_three_is_cut_from_the_store(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with RedisServer(binary, *QUICK) as redis, Tunnel(redis.port) as tunnel:
        ways = [Way(broker.port, f"redis://127.0.0.1:{port}") for port in (tunnel.port, redis.port, redis.port)]
        with working(tmp_path, ways) as workers, load(broker.port, tell) as calls:
            calls.await_seconds(1)
            before = len(calls.crowd.calls)
            calls.trouble()
            calls.break_in_the_middle(tunnel.hole)
            calls.await_seconds(CUT_S / 2)
            begun = [*calls.crowd.calls.values()][before:]
            calls.await_seconds(CUT_S / 2)
            made, completed = calls.made(begun), calls.completed(begun)
            left, unavailable = workers.count("link_pauses", 0), workers.count("unavailable", 0)
            tunnel.mend()
            eventually(lambda: workers.shares(0), "the worker is back in the share")
            calls.await_seconds(1)
            resets = 0
            while resets < 1 or (resets < MOST_TIMES and not _written_in_vain(workers)):
                calls.trouble()
                calls.break_in_the_middle(tunnel.reset)
                eventually(lambda: not workers.shares(0), "the worker left the share")
                calls.await_seconds(2)
                tunnel.mend()
                eventually(lambda: workers.shares(0), "the worker is back in the share")
                calls.await_seconds(1)
                resets += 1
            done = calls.judge(workers)
            calls.report(
                tell, workers, done, held_up=tunnel.held, times_reset=resets, connections_reset=tunnel.resets,
                left_the_share=left, requests_it_could_not_serve=unavailable, begun_while_cut=len(begun),
                made_while_cut=f"{made:.0%}", completed_while_cut=f"{completed:.0%}",
            )  # fmt: skip
            retries = calls.fleet.counts().retries
            assert min(left, unavailable, tunnel.held, tunnel.resets, retries, _written_in_vain(workers)) > 0
            assert made > 0.9
            assert completed > 0.8


def test_a_store_answers_slowly(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = valkey_binary() or missing("valkey-server")
    with ExitStack() as stack:
        store = stack.enter_context(RedisServer(binary, *QUICK))
        tunnels = [stack.enter_context(Tunnel(store.port)) for _ in range(3)]
        ways = [Way(broker.port, f"redis://127.0.0.1:{tunnel.port}") for tunnel in tunnels]
        workers = stack.enter_context(working(tmp_path, ways))
        calls = stack.enter_context(load(broker.port, tell, every_s=0.2))
        with calls.outage(slow_ms=SLOW_REPLIES * 200):
            for tunnel in tunnels:
                tunnel.delay(0.2)
            before = len(calls.crowd.calls)
            calls.await_calls(SLOW_CALLS)
            begun = [*calls.crowd.calls.values()][before:]
            eventually(lambda: calls.made(begun) > 0.8, "calls are made by a store that takes 200 ms")
            left_at_200_ms = workers.count("link_pauses")
        with calls.outage():
            for tunnel in tunnels:
                tunnel.delay(2.0)
            eventually(lambda: not any(map(workers.shares, range(3))), "all workers left the share")
            calls.await_seconds(2)
            for tunnel in tunnels:
                tunnel.mend()
            workers.await_sharing()
        calls.await_seconds(1)
        done = calls.judge(workers, stood=0.7)
        calls.report(
            tell, workers, done, late_replies=sum(tunnel.held for tunnel in tunnels),
            begun_at_200_ms=len(begun), workers_left_at_200_ms=left_at_200_ms,
        )  # fmt: skip
        assert min(calls.fleet.counts().retries, workers.count("repeats")) > 0


def test_a_cluster_fails_over(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    binary = redis_binary() or missing("redis-server")
    with cluster(binary) as nodes:
        url = f"redis+cluster://{','.join(node.address for node in nodes)}?shards=4&wait=1"
        with working(tmp_path, [Way(broker.port, url)] * 3) as workers, load(broker.port, tell) as calls:
            under_way = 0
            for at in range(2):
                calls.await_seconds(2)
                with calls.outage():
                    under_way += calls.break_in_the_middle(nodes[at].kill)
                    eventually(lambda at=at: _is_primary(nodes[3 + at]), "the replica takes over")  # type: ignore[misc]
                    nodes[at].start()
                    eventually(nodes[at].follows, "who was killed follows")
                    workers.await_sharing()
            calls.await_seconds(3)
            done = calls.judge(workers)
            calls.report(tell, workers, done, failovers=2, requests_under_way=under_way)
            assert min(under_way, calls.fleet.counts().retries, _written_in_vain(workers)) > 0


def _written_in_vain(workers: Workers) -> int:
    """How often somebody found done what another had committed, and never heard that it was."""
    return workers.count("repeats") + workers.count("recovered")


def _is_primary(node: RedisServer) -> bool:
    return bool(node.call("ROLE")[0] == b"master")
