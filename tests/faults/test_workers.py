"""Three workers beside one Mosquitto and one redis; one of them is killed with SIGKILL again and again."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.calls import KINDS, Stage, people
from tests.faults.conftest import Tell
from tests.faults.fleet import Fleet
from tests.faults.verdict import judge
from tests.faults.workers import Workers
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import RedisServer, redis_binary
from tests.support.services import missing

CALLS = 90
KILLS = 12


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Workers, int]]:
    config = "max_inflight_messages 1000\nmax_queued_messages 100000\nset_tcp_nodelay true"
    binary = redis_binary() or missing("redis-server")
    with Mosquitto(tmp_path, config) as broker, RedisServer(binary) as redis:
        with Workers(tmp_path, 3, broker.port, redis.url) as running:
            yield running, broker.port
        running.assert_no_fault_logged()


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("quick")
def test_nothing_is_lost_when_workers_are_killed_in_the_middle(workers: tuple[Workers, int], tell: Tell) -> None:
    running, port = workers
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    tell(seed=seed)
    began = time.monotonic()
    with Fleet(f"mqtt://127.0.0.1:{port}") as fleet:
        stage = Stage(fleet, *people(fleet, callers=6, callees=9), rng)
        fleet.connect()
        kinds = rng.sample(KINDS * (CALLS // len(KINDS) + 1), CALLS)
        while kinds or running.kills < KILLS:
            what, after = rng.choice((("sent", rng.randint(0, 6)), ("heard", rng.randint(0, 12))))
            fleet.watch.set_trap(what, after, lambda: running.kill_one(rng))
            for _ in range(6):
                stage.begin(kinds.pop() if kinds else "accept")
            if not fleet.watch.await_trap(1.0) and fleet.watch.disarm():
                running.kill_one(rng)
            running.await_death()
            running.replace_dead()
        stage.await_end()
        outcomes = judge(stage)
        counts = fleet.counts()
        tell(
            kills=running.kills, retries=counts.retries, repeats_dropped_by_devices=counts.repeats_dropped,
            repeats_recognised_by_workers=fleet.watch.repeats_answered, syncs=counts.syncs, gaps=counts.gaps,
            calls=len(stage.calls), calls_that_stood=outcomes.total(), **outcomes,
            seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip
        assert running.kills >= KILLS
        assert outcomes.total() >= 0.9 * CALLS
        assert counts.retries > 0
        assert counts.repeats_dropped + fleet.watch.repeats_answered > 0
