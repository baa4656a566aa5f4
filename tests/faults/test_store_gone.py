"""The store fails for a while: requests are repeated until it is back, and nothing is lost."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringline.protocol.requests import Invite, Modify, encode_request
from ringline.protocol.topics import Topics
from ringline_broker.settings import Settings
from ringline_broker.testing import ManualClock
from tests.faults.faulty_store import FaultyRing
from tests.faults.fleet import Fleet, WatchedDevice
from tests.faults.telling import Tell
from tests.support.bound import BOUND_S
from tests.support.raw import RawDevice, request_id

RING = "receive_new_invitation"
ENDED = "invitation_ended"
CREATED = "invitation_created"


@pytest.fixture
def ring(store_url: str) -> Iterator[FaultyRing]:
    with FaultyRing(store_url, ManualClock()) as ring:
        yield ring


@pytest.fixture
def fleet(ring: FaultyRing) -> Iterator[Fleet]:
    with Fleet(ring.url()) as fleet:
        yield fleet


@pytest.fixture
def pair(fleet: Fleet) -> tuple[WatchedDevice, WatchedDevice]:
    """Alice and bob, connected."""
    alice, bob = fleet.add("alice", "desk"), fleet.add("bob", "phone")
    fleet.connect()
    return alice, bob


@pytest.mark.parametrize(("inviting", "accepting"), [("load", "load"), ("usage", "commit"), ("commit", "load")])
def test_a_call_goes_through_a_store_that_fails(
    ring: FaultyRing, fleet: Fleet, pair: tuple[WatchedDevice, WatchedDevice], tell: Tell, inviting: str, accepting: str
) -> None:
    alice, bob = pair
    with ring.broken(inviting):
        call = alice.client.invite(["bob"], timeout=30)
    call.result(BOUND_S)
    bob.heard.wait(RING, invite_id=call.invite_id)
    with ring.broken(accepting):
        accept = bob.client.accept(call.invite_id)
    accept.result(BOUND_S)
    for device in pair:
        assert device.heard.wait(ENDED).outcome == "accepted"
    assert alice.heard.names() == [CREATED, "invitee_accepted", ENDED]
    assert bob.heard.names() == [RING, "invitee_accepted", ENDED]
    counts = ring.server.counts()
    tell(refused_for_now=counts["unavailable"], retries=fleet.counts().retries)
    assert counts["unavailable"] >= 2
    assert fleet.counts().retries >= 2


def test_a_commit_that_fails_after_it_was_written_is_recognised_and_published_after_all(
    ring: FaultyRing, pair: tuple[WatchedDevice, WatchedDevice], tell: Tell
) -> None:
    alice, bob = pair
    with ring.broken("commit", after=True):
        call = alice.client.invite(["bob"], timeout=30)
    call.result(BOUND_S)
    bob.heard.wait(RING, invite_id=call.invite_id)
    with ring.broken("commit", after=True):
        accept = bob.client.accept(call.invite_id)
    accept.result(BOUND_S)
    for device in pair:
        assert device.heard.wait(ENDED).outcome == "accepted"
    assert alice.heard.names() == [CREATED, "invitee_accepted", ENDED]
    assert bob.heard.names() == [RING, "invitee_accepted", ENDED]
    repeats = ring.server.counts()["repeats"]
    tell(repeats_recognised_by_the_server=repeats)
    assert repeats >= 2


def test_marks_that_fail_let_events_be_told_again_and_heard_once(
    ring: FaultyRing, fleet: Fleet, pair: tuple[WatchedDevice, WatchedDevice], tell: Tell
) -> None:
    alice, bob = pair
    with ring.broken("mark"):
        call = alice.client.invite(["bob"], timeout=30)
        bob.heard.wait(RING, invite_id=call.invite_id)
        alice.client.modify(call.invite_id, "new").result(BOUND_S)
        bob.client.accept(call.invite_id).result(BOUND_S)
        for device in pair:
            device.heard.wait(ENDED)
    heard = fleet.watch.heard
    ring.advance(1_000 * Settings().lease_s + 1_000)  # then it is recovered, as nobody is known to have published it
    fleet.watch.await_heard(heard + len(pair))
    assert alice.heard.names() == [CREATED, "invitation_modified", "invitee_accepted", ENDED]
    assert bob.heard.names() == [RING, "invitation_modified", "invitee_accepted", ENDED]
    dropped = fleet.counts().repeats_dropped
    tell(marks_failed=ring.store.failures["mark"], repeats_dropped=dropped)
    assert dropped > 0


@pytest.mark.parametrize("method", ["claim_due", "next_due", "load", "commit"])
def test_a_deadline_is_kept_when_the_store_is_back(
    ring: FaultyRing, pair: tuple[WatchedDevice, WatchedDevice], method: str
) -> None:
    alice, bob = pair
    call = alice.client.invite(["bob"], timeout=30)
    bob.heard.wait(RING, invite_id=call.invite_id)
    alice.heard.wait(CREATED)
    with ring.broken(method):
        ring.advance(30_000)
    ring.on_loop(lambda: None)  # the failure has got to whoever waits for a lease now
    ring.advance(5_000)
    for device in pair:
        assert device.heard.wait(ENDED).outcome == "timed_out"
        assert device.heard.names()[1:] == ["invitation_timeout", ENDED]


def test_a_device_that_comes_while_the_store_is_gone_is_up_to_date_when_it_is_back(
    ring: FaultyRing, fleet: Fleet, pair: tuple[WatchedDevice, WatchedDevice]
) -> None:
    alice, _ = pair
    alice.client.invite(["bob"], timeout=30).result(BOUND_S)
    with ring.broken("of_user"):
        tablet = fleet.add("bob", "tablet")
        tablet.client.connect()
    assert not tablet.client.wait_connected(0)
    tablet.heard.wait("connected")
    assert tablet.heard.names() == [RING]
    assert tablet.client.counts.retries > 0


def test_a_full_disk_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tell: Tell
) -> None:
    """Sqlite's own limit on pages makes its disk full, with the error a full disk gives."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connect_and_keep(*args: Any, **more: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **more))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect_and_keep)
    with (
        FaultyRing(f"sqlite:{tmp_path / 'ringline.sqlite'}", ManualClock()) as ring,
        Fleet(ring.url()) as fleet,
        caplog.at_level(logging.ERROR, "ringline_broker"),
    ):
        alice, bob = fleet.add("alice", "desk"), fleet.add("bob", "phone")
        fleet.connect()
        (pages,) = opened[0].execute("PRAGMA page_count").fetchone()
        opened[0].execute(f"PRAGMA max_page_count = {pages}")
        answers = fleet.watch.heard
        calls = [alice.client.invite(["bob"], "x" * 8_000, timeout=30) for _ in range(4)]
        fleet.watch.await_heard(answers + 4)
        assert not any(call.done for call in calls)
        opened[0].execute("PRAGMA max_page_count = 1000000")
        for call in calls:
            call.result(BOUND_S)
            bob.heard.wait(RING, invite_id=call.invite_id)
            bob.client.reject(call.invite_id).result(BOUND_S)
            assert alice.heard.wait(ENDED, invite_id=call.invite_id).outcome == "rejected"
        tell(refused_for_now=ring.server.counts()["unavailable"], retries=fleet.counts().retries)
    assert "full" in caplog.text
    assert "Traceback" not in caplog.text


def test_two_modifications_of_one_turn_are_both_answered(ring: FaultyRing) -> None:
    """The first one's event is superseded before anybody hears it; whoever sent it is told so, and does not wait."""
    with RawDevice(ring.port, "alice") as alice:
        ring.hold_store()
        invite = Invite(id=request_id(), dev="raw", iid="i", to=("bob",))
        alice.send(encode_request(invite))
        fence = Topics().events("alice")
        alice.subscribe(fence)  # its SUBACK comes after the invite was taken; its turn waits for the store now
        modifies = [Modify(id=request_id(), dev="raw", iid="i", data=b"\x01") for _ in range(2)]
        for modify in modifies:
            alice.send(encode_request(modify))
        alice.subscribe(fence)
        ring.release_store()
        while (event := alice.events.get(timeout=BOUND_S)).re == invite.id:
            pass  # it may be told again with what follows it
        assert event.re == modifies[1].id
        assert alice.answers.get(timeout=BOUND_S).re == modifies[0].id
    assert ring.server.counts()["turns"] == 2


def test_a_member_whose_group_cannot_be_looked_up_comes_back_and_has_lost_nothing(ring: FaultyRing) -> None:
    alice = ring.device("alice")
    alice.client.groups.create("g", preset="meeting", members=["bob"]).result(BOUND_S)
    with ring.broken("load_groups"):
        bob = ring.device("bob", connect=False)
        bob.client.connect()
        bob.heard.wait("disconnected")
    alice.client.groups.add_to_counter("g", "c", 1).result(BOUND_S)
    assert bob.client.wait_connected(10)
    alice.client.groups.add_to_counter("g", "c", 1).result(BOUND_S)
    assert bob.heard.wait("group_counter_changed", value=2).group_id == "g"
    assert bob.heard.events("quit_from_group") == []
