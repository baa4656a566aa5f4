"""Three workers beside one Mosquitto and one redis; about every second one of them is killed with SIGKILL."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.crowd import Crowd, Size
from tests.faults.deadlines import TimedClient
from tests.faults.fleet import Fleet
from tests.faults.site import MOSQUITTO, Load
from tests.faults.telling import Tell
from tests.faults.workers import Way, Workers, working
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import QUICK, RedisServer, redis_binary
from tests.support.services import missing

CALLS: Final = 2_000
KILLS: Final = 30
EVERY_S: Final = 1.0
PEOPLE: Final = Size(callers=14, callees=20, members=6, pairs=5)
"""A hundred devices."""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Workers, int]]:
    binary = redis_binary() or missing("redis-server")
    with (
        Mosquitto(tmp_path, MOSQUITTO) as broker,
        RedisServer(binary, *QUICK) as redis,
        working(tmp_path, [Way(broker.port, redis.url)] * 3) as running,
    ):
        yield running, broker.port


@pytest.mark.usefixtures("quick")
@pytest.mark.xdist_group("heavy")
def test_nothing_is_lost_when_workers_are_killed_in_the_middle(workers: tuple[Workers, int], tell: Tell) -> None:
    running, port = workers
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    tell(seed=seed)
    began = time.monotonic()
    kills_in_flight = under_way = 0
    with Fleet(f"mqtt://127.0.0.1:{port}", TimedClient) as fleet:
        crowd = Crowd(fleet, PEOPLE, rng)
        crowd.connect()
        while len(crowd.calls) < CALLS or running.kills < KILLS or not running.counted("recovered"):
            what, after = rng.choice((("sent", rng.randint(0, 60)), ("heard", rng.randint(0, 200))))
            fleet.watch.set_trap(what, after, lambda: running.kill_one(rng))
            crowd.begin_some(-(-CALLS // KILLS))
            if not fleet.watch.await_trap(1.0) and fleet.watch.disarm():
                running.kill_one(rng)
            some = crowd.unanswered()
            kills_in_flight += some > 0
            under_way += some
            killed_at = time.monotonic()
            running.look()
            running.replace_dead()
            fleet.watch.await_moment(killed_at + EVERY_S)
        killing_s = round(time.monotonic() - began, 1)
        calls = Load(crowd, rng)
        outcomes, late = calls.judge()
        calls.report(
            tell, running, (outcomes, late), kills=running.kills, kills_in_flight=kills_in_flight,
            requests_under_way=under_way, seconds_killing=killing_s, seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip
        counts = fleet.counts()
        assert len(fleet.devices) == PEOPLE.devices
        assert outcomes.total() >= 0.9 * CALLS
        assert min(kills_in_flight, counts.retries, counts.repeats_dropped, running.count("recovered")) > 0
