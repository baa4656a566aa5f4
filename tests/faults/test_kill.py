"""The server is killed with SIGKILL again and again while requests are in flight, and nobody notices."""

import random
import threading
import time

import pytest

from tests.faults.calls import KINDS, Stage, people
from tests.faults.fleet import Fleet
from tests.faults.server_process import ServerProcess
from tests.faults.telling import Tell
from tests.faults.verdict import judge

CALLS = 200
KILLS = 50


@pytest.mark.xdist_group("heavy")
@pytest.mark.usefixtures("quick")
def test_nothing_is_lost_when_the_server_is_killed_in_the_middle(server: ServerProcess, tell: Tell) -> None:
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    tell(seed=seed)
    began = time.monotonic()
    kills_in_flight = 0
    with Fleet(server.url) as fleet:
        stage = Stage(fleet, *people(fleet, callers=4, callees=6), rng)
        fleet.connect()
        kinds = rng.sample(KINDS * (CALLS // len(KINDS) + 1), CALLS)
        while kinds or kills_in_flight < KILLS:
            cut = fleet.watch.cut
            with fleet.all_lose_connection():
                _kill_in(rng, server, fleet, stage, [kinds.pop() if kinds else "accept" for _ in range(3)])
            kills_in_flight += fleet.watch.cut > cut
            server.start()
            if rng.random() < 0.8:  # otherwise the next kill meets devices on their way back
                fleet.await_all()
        fleet.await_all()
        stage.await_end()
        outcomes = judge(stage)
        counts = fleet.counts()
        tell(
            kills=server.kills, kills_with_requests_in_flight=kills_in_flight, requests_cut=fleet.watch.cut,
            retries=counts.retries, repeats_dropped_by_devices=counts.repeats_dropped,
            repeats_recognised_by_the_server=fleet.watch.repeats_answered, connects=fleet.connects(),
            syncs=counts.syncs, gaps=counts.gaps,
            calls=len(stage.calls), calls_that_stood=outcomes.total(), **outcomes,
            seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip
        assert len(stage.calls) >= CALLS
        assert outcomes.total() >= 0.9 * CALLS
        assert set(outcomes) == {"accepted", "rejected", "cancelled", "timed_out", "notice"}
        assert kills_in_flight >= KILLS
        assert fleet.watch.cut > 0
        assert counts.retries > 0
        assert counts.repeats_dropped > 0
        assert fleet.watch.repeats_answered > 0
        fleet.assert_all_synced()


def _kill_in(rng: random.Random, server: ServerProcess, fleet: Fleet, stage: Stage, kinds: list[str]) -> None:
    """Begin calls, and kill at one of their messages or within milliseconds of it."""
    what, after = rng.choice((("sent", rng.randint(0, 4)), ("heard", rng.randint(0, 12))))
    delay_s = rng.choice((0.0, rng.uniform(0.0, 0.01)))
    spring = threading.Timer(delay_s, server.kill).start if delay_s else server.kill
    fleet.watch.set_trap(what, after, spring)
    for kind in kinds:
        stage.begin(kind)
    if not fleet.watch.await_trap(0.5) and fleet.watch.disarm():
        server.kill()
    server.await_death()
