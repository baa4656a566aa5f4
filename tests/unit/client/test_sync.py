"""What a device asks for when it connects, what it makes of the reply, and what it remembers."""

import random

import pytest

from ringline.core.core import CHECK_AFTER_S, Core
from ringline.core.held import REMEMBER_S
from ringline.core.syncing import KNOWN_AT_ONCE
from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.events import Accepted, Ended, Invited
from ringline.protocol.requests import Sync, decode_request
from tests.unit.client.world import START, TOPICS, Device, World
from tests.unit.engine.play import IID, accept, cancel, invite, modify, reject


def _invited(iid: str = IID, *, by: str = "bob", ttl: int | None = 30_000, ts: int = 0) -> Invited:
    return Invited(iid=iid, n=1, by=by, dev="b1", to=("ann",), ttl=ttl, ts=ts)


def _ended(iid: str = IID, n: int = 2, p: int = 1, ts: int = 0) -> Ended:
    return Ended(iid=iid, n=n, p=p, end="cancelled", ts=ts)


def _connected(since: int | None = None) -> Device:
    ann = Device("ann", since=since)
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id))
    ann.heard.clear()
    return ann


# What is asked.


def test_the_first_sync_knows_nothing() -> None:
    ann = Device("ann")
    ann.connect()
    sync = ann.take_sync()
    assert (sync.known, sync.since, sync.only, sync.next) == (None, None, False, b"")


def test_since_of_an_earlier_run_is_asked_for() -> None:
    ann = Device("ann", since=77)
    ann.connect()
    assert ann.take_sync().since == 77


def test_the_next_names_what_is_open_and_how_far_it_was_heard() -> None:
    ann = _connected()
    ann.hear(_invited("open", ts=50), _invited("over", ts=60), _ended("over", ts=70))
    ann.hear(Accepted(iid="unknown", n=9, p=8, by="x"))
    ann.lose()
    ann.connect()
    [sync] = [request for request in ann.outgoing if isinstance(request, Sync) and not request.only]
    assert (sync.known, sync.since) == ({"open": 1}, 70)


def test_more_than_fit_into_a_request_are_left_for_the_server_to_tell_of() -> None:
    ann = _connected()
    for number in range(KNOWN_AT_ONCE + 50):
        ann.hear(_invited(f"{number:064}", ttl=None))
    ann.lose()
    ann.connect()
    assert len(ann.take_sync().known or ()) == KNOWN_AT_ONCE


def test_connected_is_told_after_the_last_page() -> None:
    ann = Device("ann")
    ann.connect()
    first = ann.take_sync()
    ann.answer(Answer(re=first.id, events=(), more=True, next=b"page 2"))
    second = ann.take_sync()
    assert (second.next, second.known, second.since) == (b"page 2", first.known, first.since)
    assert second.id != first.id
    assert ann.heard == []
    ann.answer(Answer(re=second.id))
    assert [name for name, _ in ann.heard] == ["connected"]


def test_connected_is_told_once_a_connection() -> None:
    ann = _connected()
    for _ in range(2):
        ann.lose()
        ann.connect()
        ann.answer(Answer(re=ann.take_sync().id))
    assert [name for name, _ in ann.heard] == ["connected"] * 2


def test_a_sync_is_repeated_until_it_is_answered_however_long_that_takes() -> None:
    """An extension that is down for an hour is not up to date with when it comes back."""
    ann = Device("ann")
    ann.connect()
    ann.wait(3_600)
    assert ann.heard == []
    assert len(ann.sent) > 400
    ann.answer(Answer(re=ann.take_sync().id))
    assert [name for name, _ in ann.heard] == ["connected"]


def test_the_reply_to_a_sync_of_the_last_connection_is_not_heard() -> None:
    ann = Device("ann")
    ann.connect()
    old = ann.take_sync()
    ann.lose()
    ann.answer(Answer(re=old.id, ts=99))
    ann.connect()
    ann.answer(Answer(re=old.id, ts=99))
    assert ann.heard == []
    assert ann.core.since is None


def test_a_new_connection_asks_anew_and_for_the_last_one_s_reply_no_more() -> None:
    ann = Device("ann")
    ann.connect()
    old = ann.take_sync()
    ann.lose()
    ann.connect()
    new = ann.take_sync()
    assert new.id != old.id
    ann.answer(Answer(re=old.id, ts=99))
    assert ann.heard == []
    ann.answer(Answer(re=new.id, ts=100))
    ann.wait(60)
    assert [name for name, _ in ann.heard] == ["connected"]
    assert ann.outgoing == []


def test_an_answer_after_the_connection_was_lost_makes_nobody_connected() -> None:
    ann = Device("ann")
    ann.connect()
    sync = ann.take_sync()
    ann.lose()
    ann.answer(Answer(re=sync.id))
    assert ann.heard == []


# Since.


def test_since_is_the_largest_server_time_seen() -> None:
    ann = Device("ann")
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id, ts=500))
    assert ann.core.since == 500
    ann.hear(_invited(ts=700))
    assert ann.core.since == 700
    ann.hear(_invited("older", ts=600))
    assert ann.core.since == 700


def test_until_a_sync_is_complete_since_stays_so_that_the_next_asks_again() -> None:
    """What ended while this device was away is known only after the last page."""
    ann = Device("ann", since=100)
    ann.hear(_invited("before the SUBACK", ts=900_000))
    ann.connect()
    sync = ann.take_sync()
    ann.hear(_invited("while it syncs", ts=900_001))
    ann.answer(Answer(re=sync.id, ts=900_002, more=True, next=b"p"))
    ann.lose()
    assert ann.core.since == 100
    ann.connect()
    sync = ann.take_sync()
    assert sync.since == 100
    ann.answer(Answer(re=sync.id, ts=900_003))
    assert ann.core.since == 900_003


def test_since_of_live_events_counts_once_the_sync_is_complete() -> None:
    ann = Device("ann", since=100)
    ann.connect()
    sync = ann.take_sync()
    ann.hear(_invited(ts=900_000))
    ann.answer(Answer(re=sync.id, ts=800_000))
    assert ann.core.since == 900_000


def test_a_sync_of_a_gap_is_no_sync_of_everything() -> None:
    ann = _connected(since=100)
    ann.hear(Ended(iid="x", n=5, p=4, end="cancelled"))
    ann.wait(1)
    ann.answer(Answer(re=ann.take_sync().id, ts=900_000))
    assert ann.core.since == 100


# Gone, and past its time.


def test_gone_ends_what_the_application_was_told_of() -> None:
    ann = _connected()
    ann.hear(_invited())
    ann.lose()
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id, gone=(IID, "never heard of")))
    assert ann.names() == ["receive_new_invitation", "invitation_ended"]
    assert ann.heard[1][1].outcome == "gone"


def test_a_server_that_lost_everything() -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    ann.request(invite("bob", timeout=0))
    world.run()
    for device in (ann, bob):
        device.lose()
    world.server.restart_empty()
    for device in (ann, bob):
        device.connect()
    world.run()
    assert ann.names() == ["invitation_created", "invitation_ended"]
    assert bob.names() == ["receive_new_invitation", "invitation_ended"]
    late = bob.request(accept("d1"))
    world.run()
    assert bob.error(late) == "unknown_invitation"
    ann.request(invite("bob", iid="another"))
    world.run()
    assert bob.names("another") == ["receive_new_invitation"]


def test_past_its_time_it_is_asked_about() -> None:
    ann = _connected()
    ann.hear(_invited(ttl=10_000))
    ann.wait(11.75)
    assert ann.outgoing == []
    ann.wait(0.25)
    sync = ann.take_sync()
    assert (sync.only, sync.known) == (True, {IID: 1})
    ann.answer(Answer(re=sync.id, gone=(IID,)))
    assert ann.names() == ["receive_new_invitation", "invitation_ended"]


def test_while_the_server_has_nothing_new_of_it_it_is_asked_about_every_five_seconds() -> None:
    ann = _connected()
    ann.hear(_invited(ttl=10_000))
    ann.wait(12)
    for _ in range(3):
        ann.answer(Answer(re=ann.take_sync().id))
        ann.wait(4.75)
        assert ann.outgoing == []
        ann.wait(0.25)


def test_devices_do_not_all_ask_at_once() -> None:
    waits: set[float] = set()
    for seed in range(20):
        core = Core("ann", "d1", TOPICS, rng=random.Random(seed).uniform)
        core.subscribed(START)
        [(_, payload)] = core.drain().messages
        sync = decode_request(payload)
        device = Device("ann")
        device.core = core
        device.answer(Answer(re=sync.id))
        device.hear(_invited(ttl=10_000))
        wakes = core.next_wakeup()
        assert wakes is not None
        waits.add(wakes - START - 10)
    assert len(waits) == 20
    assert min(waits) >= CHECK_AFTER_S[0]
    assert max(waits) <= CHECK_AFTER_S[1]
    assert CHECK_AFTER_S == (2.0, 5.0)


def test_without_a_connection_nobody_asks() -> None:
    ann = _connected()
    ann.hear(_invited(ttl=1_000))
    ann.lose()
    ann.wait(60)
    assert ann.outgoing == []


@pytest.mark.parametrize("ttl", [None, 2**53 - 1])
def test_without_a_deadline_or_with_one_far_away_nobody_asks(ttl: int | None) -> None:
    ann = _connected()
    ann.hear(_invited(ttl=ttl))
    ann.wait(86_400)
    assert ann.outgoing == []


# What is remembered.


def test_an_ended_invitation_is_remembered_for_ten_minutes_and_then_forgotten() -> None:
    ann = _connected()
    ann.hear(_invited(), _ended())
    ann.wait(REMEMBER_S - 1)
    ann.hear(_invited())
    assert ann.names() == ["invitation_missed"]
    ann.wait(1)
    assert ann.core._held == {}
    assert REMEMBER_S == 600


def test_what_ends_leaves_nothing_behind() -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    for number in range(30):
        iid = f"call-{number}"
        ann.request(invite("bob", iid=iid))
        world.run()
        bob.request([accept, reject][number % 2]("d1", iid))
        world.run()
        world.wait(60)
        assert len(ann.core._held) <= 11
    world.wait(3_600)
    assert len(ann.core._held) == len(bob.core._held) == 1  # the last minute before `since`, which a sync would repeat
    ann.request(invite("bob", iid="one more", timeout=0))
    world.run()
    world.wait(REMEMBER_S)
    assert set(ann.core._held) == set(bob.core._held) == {"one more"}


def test_what_was_heard_in_this_run_is_not_told_again_by_a_sync_much_later() -> None:
    """The server tells again what ended up to a minute before `since`, and `since` may be an hour old."""
    world = World()
    ann, bob = world.device("ann", since=1), world.device("bob", since=1)
    ann.request(invite("bob"))
    world.run()
    bob.request(accept("d1"))
    world.run()
    heard = [*ann.heard], [*bob.heard]
    world.wait(REMEMBER_S + 300)
    for device in (ann, bob):
        device.lose()
        device.connect()
    world.run()
    assert [event for event in ann.heard[len(heard[0]) :] if event[0] != "connected"] == []
    assert [event for event in bob.heard[len(heard[1]) :] if event[0] != "connected"] == []
    world.wait(REMEMBER_S)
    assert ann.core._held == bob.core._held == {}


def test_an_unknown_event_of_an_unknown_invitation_is_not_kept_for_ever() -> None:
    ann = _connected()
    for number in range(20):
        ann.hear_raw([{"ev": "new kind", "iid": f"i{number}", "n": 3}])
        ann.hear_raw([{"ev": "ringing", "iid": f"r{number}", "by": "bob"}])
        ann.hear_raw([{"ev": "modified", "iid": f"m{number}", "n": 3, "data": b"x"}])
    ann.wait(REMEMBER_S)
    assert ann.core._held == {}


def test_a_refused_sync_leaves_the_device_running() -> None:
    ann = _connected()
    ann.lose()
    ann.connect()
    sync = ann.take_sync()
    ann.answer(Answer(re=sync.id, err=Refusal(code=6017, name="bad_parameter")))
    ann.hear(_invited())
    assert ann.names() == ["receive_new_invitation"]


# Whole stories over the real sync.


def test_a_device_that_was_away_hears_what_it_missed() -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    ann.request(invite("bob", iid="rang"))
    world.run()
    bob.lose()
    ann.request(modify(b"\x01", iid="rang"))
    ann.request(invite("bob", iid="still rings", timeout=300))
    ann.request(invite("bob", iid="too late", timeout=1))
    world.run()
    world.wait(35)
    bob.connect()
    world.run()
    assert bob.names("rang") == [
        "receive_new_invitation", "invitation_modified", "invitation_timeout", "invitation_ended"
    ]  # fmt: skip
    assert bob.names("still rings") == ["receive_new_invitation"]
    assert bob.names("too late") == ["invitation_missed"]
    [rings] = [event for name, event in bob.heard if name == "receive_new_invitation" and event.invite_id != "rang"]
    assert rings.time_left == 265


def test_many_pages() -> None:
    world = World()
    ann = world.device("ann")
    for number in range(12):
        ann.request(invite("bob", iid=f"i{number:02}", data=bytes(8_000), timeout=0))
        world.run()
    bob = world.device("bob")
    assert bob.names() == ["receive_new_invitation"] * 12
    assert bob.core.counts.syncs >= 4
    assert [name for name, _ in bob.heard][-1] == "connected"


def test_a_first_run_hears_nothing_of_what_is_over() -> None:
    world = World()
    ann = world.device("ann")
    ann.request(invite("bob"))
    world.run()
    ann.request(cancel())
    world.run()
    assert world.device("bob").names() == []
    assert world.device("bob", "d2", since=world.server.store.now() - 1).names() == ["invitation_missed"]
