"""The server kills itself just where it hurts: between commit, publish and mark, inside a batch or its recovery."""

import random

import pytest

from ringline.errors import SignalingError
from tests.faults.calls import Stage, people
from tests.faults.fleet import Fleet
from tests.faults.server_process import ServerDied, ServerProcess
from tests.faults.telling import Tell
from tests.faults.verdict import judge
from tests.support.bound import BOUND_S

ROUNDS = 6
AT_MOST = {"after-commit": 3, "inside-publish": 10, "after-publish": 3, "inside-batch": 12}
"""The latest time past a point that the calls of one round are sure to bring about."""
PLAIN_KINDS = ("accept", "reject", "both", "first", "modify", "timeout")

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("point", AT_MOST)
def test_a_kill_at_this_point_changes_nothing(server: ServerProcess, tell: Tell, point: str) -> None:
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    with Fleet(server.url) as fleet:
        stage = Stage(fleet, *people(fleet, callers=2, callees=3), rng)
        fleet.connect()
        for _ in range(ROUNDS):
            _die_in_calls(server, fleet, stage, f"{point}:{rng.randint(1, AT_MOST[point])}")
            server.start()
            fleet.await_all()
        stage.await_end()
        _judge_all(stage, ROUNDS)
        counts = fleet.counts()
        tell(
            seed=seed, kills=server.kills, requests_cut=fleet.watch.cut, retries=counts.retries,
            repeats_recognised_by_the_server=fleet.watch.repeats_answered, syncs=counts.syncs,
        )  # fmt: skip
        assert server.kills == ROUNDS
        assert fleet.watch.cut > 0
        assert counts.retries > 0
        if point == "after-commit":
            assert fleet.watch.repeats_answered > 0


def test_a_kill_inside_the_recovery_from_a_kill_changes_nothing(server: ServerProcess, tell: Tell) -> None:
    rng = random.Random(random.getrandbits(32))
    with Fleet(server.url) as fleet:
        stage = Stage(fleet, *people(fleet, callers=2, callees=3), rng)
        fleet.connect()
        for _ in range(3):
            _die_in_calls(server, fleet, stage, "after-commit:2")
            for _ in range(2):
                with pytest.raises(ServerDied):
                    server.start("inside-recovery:1")
            server.start()
            fleet.await_all()
        stage.await_end()
        _judge_all(stage, 3)
        tell(kills=server.kills, requests_cut=fleet.watch.cut, retries=fleet.counts().retries)
        assert server.kills == 9


def test_a_deadline_that_passes_while_the_server_is_down_is_kept_when_it_is_back(
    server: ServerProcess, tell: Tell
) -> None:
    with Fleet(server.url) as fleet:
        stage = Stage(fleet, *people(fleet, callers=2, callees=3), random.Random(random.getrandbits(32)))
        fleet.connect()
        overdue = [stage.begin("timeout") for _ in range(8)]
        for call in overdue:
            call.acts[0].handle.result(BOUND_S)
        with fleet.all_lose_connection():
            server.kill()
            server.await_death()
        # What is asked for two seconds of a server that is down fails after just those: now all deadlines are over.
        with pytest.raises(SignalingError, match="not_connected"):
            fleet.devices[0].client.invite(["nobody"], timeout=2).result(BOUND_S)
        early = [d.heard.names(call.iid) for call in overdue for d in stage.devices_of(call)]
        assert not any("invitation_timeout" in names for names in early), early
        server.start()
        stage.await_end()
        assert judge(stage) == {"timed_out": len(overdue)}
        tell(overdue_timeouts_fired=len(overdue))


def _judge_all(stage: Stage, rounds: int) -> None:
    """Check every call. An invite that lasts a second or two may be given up before the server is back; no other is."""
    stood = judge(stage).total()
    never_made = [stage.calls[iid].kind for iid, state in stage.states().items() if state is None]
    assert set(never_made) <= {"timeout"}
    assert stood + len(never_made) == rounds * len(PLAIN_KINDS)


def _die_in_calls(server: ServerProcess, fleet: Fleet, stage: Stage, crash: str) -> None:
    """Let the server come past the point; with what earlier calls left, that may be before all devices are back."""
    with fleet.all_lose_connection():
        server.stop()
    server.start(crash)
    for kind in PLAIN_KINDS:
        stage.begin(kind)
    server.await_death()
