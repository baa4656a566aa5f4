"""Three workers beside one Mosquitto and one redis; about every second one of them is killed with SIGKILL."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.faults.clubs import Clubs
from tests.faults.crowd import Crowd, Size
from tests.faults.deadlines import TimedClient
from tests.faults.fleet import Fleet
from tests.faults.site import MOSQUITTO, Load
from tests.faults.taken import logging_to, unsettled
from tests.faults.telling import Tell
from tests.faults.workers import Way, Workers, now_ms, working
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import QUICK, RedisServer, redis_binary
from tests.support.services import missing

CALLS: Final = 2_000
KILLS: Final = 30
EVERY_S: Final = 1.0
PEOPLE: Final = Size(callers=14, callees=20, members=6, pairs=5)
"""A hundred devices."""
CLUBS: Final = ([f"caller{i}" for i in range(8)], [f"callee{i}" for i in range(10)])
"""Who makes groups, and who is put into them."""
GROUP_STEPS: Final = 2
"""How often all who make groups change something between two kills."""
DISMISSAL_S: Final = 0.008
"""So long a worker takes at most for the dismissals that come to it at once, and may be killed at any moment of it."""


@dataclass(frozen=True, slots=True)
class Site:
    """Workers, the port of their broker, and where that writes down every packet."""

    workers: Workers
    port: int
    packets: Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    binary = redis_binary() or missing("redis-server")
    packets = tmp_path / "packets.log"
    with (
        Mosquitto(tmp_path, f"{MOSQUITTO}\n{logging_to(packets)}") as broker,
        RedisServer(binary, *QUICK) as redis,
        working(tmp_path, [Way(broker.port, redis.url)] * 3) as running,
    ):
        yield Site(running, broker.port, packets)


@pytest.mark.usefixtures("quick")
@pytest.mark.xdist_group("heavy")
def test_nothing_is_lost_when_workers_are_killed_in_the_middle(site: Site, tell: Tell) -> None:
    running, seed = site.workers, random.getrandbits(32)
    rng = random.Random(seed)
    tell(seed=seed)
    began = time.monotonic()
    with Fleet(f"mqtt://127.0.0.1:{site.port}", TimedClient) as fleet:
        crowd = Crowd(fleet, PEOPLE, rng)
        clubs = Clubs(fleet, *CLUBS, rng)
        crowd.connect()
        calls = Load(crowd, rng)
        while not _is_enough(calls, running):
            for _ in range(GROUP_STEPS):
                clubs.go_on()
            kill = rng.choice((_kill_in_the_middle, _kill_at_a_deadline, partial(_kill_at_dismissals, clubs)))
            kill(calls, running, -(-CALLS // KILLS))
            killed_at = time.monotonic()
            running.look()
            running.replace_dead()
            fleet.watch.await_moment(killed_at + EVERY_S)
        killing_s = round(time.monotonic() - began, 1)
        verdict = calls.judge(running, stood=0.9)
        of_groups = clubs.judge()
        died_with = unsettled(site.packets)
        calls.report(
            tell, running, verdict, kills=len(running.killed_at), kills_in_flight=len(died_with),
            requests_of_the_killed=sum(died_with), groups=len(clubs.clubs), **of_groups, seconds_killing=killing_s,
            seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip
        counts = fleet.counts()
        assert len(fleet.devices) == PEOPLE.devices
        assert of_groups["group_dismissed"] > 0
        assert min(len(died_with), counts.retries, counts.repeats_dropped, running.count("recovered")) > 0
        assert verdict.late.taken_over > 0


def _is_enough(calls: Load, running: Workers) -> bool:
    """Whether there were as many calls and kills as there should be, and all that can come of them came."""
    kills = len(running.killed_at)
    if kills < KILLS or len(calls.crowd.calls) < CALLS:
        return False
    return kills >= 2 * KILLS or bool(running.counted("recovered") and calls.taken_over())


def _kill_in_the_middle(calls: Load, running: Workers, some: int) -> None:
    """Begin so many calls, and kill a worker at some message of theirs."""
    rng, watch = calls.rng, calls.fleet.watch
    what, after = rng.choice((("sent", rng.randint(0, 60)), ("heard", rng.randint(0, 200))))
    watch.set_trap(what, after, lambda: running.kill_one(rng))
    calls.crowd.begin_some(some)
    if not watch.await_trap(1.0) and watch.disarm():
        running.kill_one(rng)


def _kill_at_a_deadline(calls: Load, running: Workers, some: int) -> None:
    """Begin so many calls that time out at about the same moment, and kill a worker when one of them does."""
    begun = [calls.crowd.begin("timeout") for _ in range(some)]
    soon = [call for call in begun if call.timeout == 1]
    for call in soon:
        call.caller.heard.wait("invitation_created", invite_id=call.iid)
    due = calls.rng.choice([due for call in soon if (due := calls.due(call)) is not None])
    calls.fleet.watch.await_moment(time.monotonic() + (due - now_ms()) / 1_000)
    running.kill_one(calls.rng)


def _kill_at_dismissals(clubs: Clubs, calls: Load, running: Workers, some: int) -> None:
    """Begin so many calls, dismiss all groups, and kill a worker while it does that."""
    calls.crowd.begin_some(some)
    clubs.dismiss_all()
    calls.fleet.watch.await_moment(time.monotonic() + calls.rng.uniform(0, DISMISSAL_S))
    running.kill_one(calls.rng)
