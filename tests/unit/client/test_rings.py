"""What rings, what is missed, and what another device of the same user hears."""

from typing import Any

import pytest

from ringline.core.core import Core
from ringline.protocol.answers import Answer
from ringline.protocol.events import Cancelled, Ended, Event, Invited, Modified, TimedOut, event_map
from tests.unit.client.world import Device, World, at_once
from tests.unit.engine.play import IID, accept, cancel, invite, modify, reject, ringing


def _connected() -> Device:
    bob = Device("bob")
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    bob.heard.clear()
    return bob


def _invited(ttl: int | None = 30_000, *, end: str | None = None, **fields: Any) -> Invited:
    to = fields.pop("to", ("bob",))
    return Invited(iid=IID, n=1, by="ann", dev="a1", to=to, ttl=ttl, end=end, **fields)


TIMED_OUT = TimedOut(iid=IID, n=2, p=1, out=("bob",), end="timed_out")
CANCELLED = Cancelled(iid=IID, n=2, p=1, by="ann", dev="a1", out=("bob",), end="cancelled")


def _by_sync(bob: Device, *events: Event) -> None:
    bob.lose()
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id, events=tuple(event_map(event) for event in events)))


# What rings.


def test_an_invitation_rings_with_all_it_says() -> None:
    bob = _connected()
    bob.hear(_invited(12_500, to=("bob", "cid"), data=b"\xa2hi", answers=1, online_only=True))
    [(name, event)] = bob.heard
    assert name == "receive_new_invitation"
    assert (event.invite_id, event.inviter, event.invitees, event.data) == (IID, "ann", ("bob", "cid"), "hi")
    assert (event.time_left, event.answers, event.online_only) == (12.5, 1, True)
    assert (event.notice, event.crossing) == (False, False)


def test_it_rings_by_sync_too() -> None:
    bob = _connected()
    _by_sync(bob, _invited(4_000))
    assert bob.names() == ["receive_new_invitation"]
    assert bob.heard[0][1].time_left == 4


def test_it_rings_with_what_was_modified_since() -> None:
    bob = _connected()
    _by_sync(bob, _invited(data=b"\x01"), Modified(iid=IID, n=2, p=1, by="ann", data=b"\x02"))
    assert [(name, event.data) for name, event in bob.heard if name != "connected"] == [
        ("receive_new_invitation", 1),
        ("invitation_modified", 2),
    ]


def test_without_a_deadline_there_is_no_time_left_to_tell() -> None:
    bob = _connected()
    bob.hear(_invited(None))
    assert bob.heard[0][1].time_left is None


# What does not.


def test_with_no_time_left_it_never_rings() -> None:
    bob = _connected()
    bob.hear(_invited(0))
    assert bob.names() == []
    bob.hear(Modified(iid=IID, n=2, p=1, by="ann"))
    assert bob.names() == []
    bob.hear(TimedOut(iid=IID, n=3, p=2, out=("bob",), end="timed_out"))
    assert bob.names() == ["invitation_missed"]
    assert (bob.heard[0][1].part, bob.heard[0][1].outcome) == ("timed_out", "timed_out")


def test_with_no_time_left_and_no_end_in_sight_it_is_asked_about() -> None:
    bob = _connected()
    bob.hear(_invited(0))
    bob.wait(2)
    assert bob.take_sync().known == {IID: 1}


@pytest.mark.parametrize("end", [TIMED_OUT, CANCELLED, Ended(iid=IID, n=2, p=1, end="gone")], ids=lambda e: e.ev)
def test_what_is_over_in_the_same_message_never_rings(end: Event) -> None:
    bob = _connected()
    bob.hear(_invited(), end)
    assert bob.names() == ["invitation_missed"]
    assert bob.heard[0][1].outcome == end.end


def test_what_is_over_when_it_is_synced_is_missed() -> None:
    bob = _connected()
    _by_sync(bob, _invited(0), CANCELLED)
    assert bob.names() == ["invitation_missed"]
    assert (bob.heard[0][1].part, bob.heard[0][1].inviter) == ("cancelled", "ann")
    bob.hear(_invited())
    assert bob.names() == ["invitation_missed"]


def test_a_part_taken_back_is_missed_while_others_may_still_answer() -> None:
    bob = _connected()
    bob.hear(_invited(to=("bob", "cid")), Cancelled(iid=IID, n=2, p=1, by="ann", dev="a1", out=("bob",)))
    assert bob.names() == ["invitation_missed"]
    assert (bob.heard[0][1].part, bob.heard[0][1].outcome) == ("cancelled", None)
    bob.hear(Ended(iid=IID, n=4, p=2, end="accepted"))
    assert bob.names() == ["invitation_missed", "invitation_ended"]


def test_an_invited_that_comes_after_the_end_never_rings() -> None:
    bob = _connected()
    bob.hear(CANCELLED)
    bob.hear(_invited())
    assert bob.names() == ["invitation_missed"]


def test_the_missed_one_carries_the_newest_data() -> None:
    bob = _connected()
    end = TimedOut(iid=IID, n=3, p=2, out=("bob",), end="timed_out")
    _by_sync(bob, _invited(0, data=b"\x01"), Modified(iid=IID, n=2, p=1, by="ann", data=b"\x02"), end)
    assert bob.heard[-2][1].data == 2


# Notices.


def test_a_notice_is_told_when_it_comes() -> None:
    bob = _connected()
    bob.hear(_invited(0, end="notice", answers=0, data=b"\x07"))
    assert bob.names() == ["receive_new_invitation", "invitation_ended"]
    event = bob.heard[0][1]
    assert (event.notice, event.time_left, event.data) == (True, None, 7)


def test_a_notice_is_missed_by_whoever_was_away() -> None:
    bob = _connected()
    _by_sync(bob, _invited(0, end="notice", answers=0))
    assert bob.names() == ["invitation_missed"]
    assert (bob.heard[0][1].part, bob.heard[0][1].outcome) == ("notified", "notice")


def test_a_notice_of_this_user_rings_nowhere() -> None:
    world = World()
    ann, other, bob = world.device("ann"), world.device("ann", "d2"), world.device("bob")
    ann.request(invite("bob", answers=0))
    world.run()
    assert ann.names() == other.names() == ["invitation_created", "invitation_ended"]
    assert bob.names() == ["receive_new_invitation", "invitation_ended"]


# Several devices of one user.


def test_one_device_answers_and_the_others_stop_ringing() -> None:
    world = World()
    ann, bob, other = world.device("ann"), world.device("bob"), world.device("bob", "d2")
    ann.request(invite("bob"))
    world.run()
    bob.request(accept("d1"))
    world.run()
    for device, mine in ((bob, True), (other, False)):
        assert device.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]
        assert (device.heard[-2][1].device, device.heard[-2][1].this_device) == ("d1", mine)
    assert ann.names() == ["invitation_created", "invitee_accepted", "invitation_ended"]


@pytest.mark.parametrize(("answer", "part"), [(accept, "accepted"), (reject, "rejected")])
def test_answered_elsewhere_while_this_device_was_away(answer: Any, part: str) -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    other = world.device("bob", "d2", since=world.server.store.now())
    other.lose()
    ann.request(invite("bob", "cid"))
    world.run()
    bob.request(answer("d1"))
    world.run()
    other.connect()
    world.run()
    assert other.names() == ["invitation_missed"]
    missed = other.heard[-2][1]
    assert (missed.part, missed.device, missed.answered_elsewhere, missed.outcome) == (part, "d1", True, None)


def test_the_other_device_is_too_late_and_is_told_who_was_not() -> None:
    world = World()
    ann, bob, other = world.device("ann"), world.device("bob"), world.device("bob", "d2")
    ann.request(invite("bob", "cid"))
    world.run()
    bob.request(accept("d1"))
    late = other.request(reject("d2"))
    world.run()
    error = other.settled[late].error
    assert error is not None
    assert error.state is not None
    assert (error.code, error.state.device, error.state.invitees) == (8010, "d1", {"bob": "accepted"})


def test_ringing_is_heard_by_the_inviter_alone() -> None:
    world = World()
    ann, bob, cid = world.device("ann"), world.device("bob"), world.device("cid")
    ann.request(invite("bob", "cid"))
    world.run()
    bob.request(ringing())
    world.run()
    assert ann.names() == ["invitation_created", "invitee_ringing"]
    assert (ann.heard[-1][1].invitee, ann.heard[-1][1].device) == ("bob", "d1")
    assert bob.names() == cid.names() == ["receive_new_invitation"]


# What else is told.


def test_the_rest_of_the_story() -> None:
    world = World()
    ann, bob, cid, dee = (world.device(user) for user in ("ann", "bob", "cid", "dee"))
    ann.request(invite("bob", "cid", "dee", answers=1))
    world.run()
    ann.request(modify(b"\x05"))
    world.run()
    bob.request(reject(reason="busy", text="later", data=b"\x06"))
    world.run()
    cid.request(accept(data=b"\x07"))
    world.run()
    assert ann.names() == [
        "invitation_created", "invitation_modified", "invitee_rejected", "invitee_accepted", "invitation_taken",
        "invitation_ended",
    ]  # fmt: skip
    assert dee.names() == ["receive_new_invitation", "invitation_modified", "invitation_taken", "invitation_ended"]
    assert bob.names()[2:] == ["invitee_rejected", "invitation_ended"]
    rejected, accepted, taken, ended = (event for _, event in ann.heard[-4:])
    assert (rejected.reason, rejected.text, rejected.data) == ("busy", "later", 6)
    assert (accepted.invitee, accepted.data) == ("cid", 7)
    assert (taken.by, taken.invitees, ended.outcome) == ("cid", ("dee",), "accepted")


def test_an_expired_or_offline_one_ends_and_tells_no_timeout() -> None:
    for ev in ("expired", "offline"):
        bob = _connected()
        bob.hear(_invited(None))
        bob.hear_raw([{"ev": ev, "iid": IID, "n": 2, "p": 1, "out": ["bob"], "end": ev}])
        assert bob.names() == ["receive_new_invitation", "invitation_ended"]


def test_a_modification_after_this_user_accepted_is_still_heard() -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    ann.request(invite("bob", "cid"))
    world.run()
    bob.request(accept())
    world.run()
    ann.request(modify(b"\x01"))
    world.run()
    assert bob.names()[-1] == "invitation_modified"


def test_who_is_offline_is_told_to_the_inviter() -> None:
    ann = Device("ann")
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id))
    ann.hear(Invited(iid=IID, n=1, by="ann", dev="d2", to=("bob", "cid"), ttl=1, offline=("cid",)))
    created = ann.heard[-1][1]
    assert (created.offline, created.this_device) == (("cid",), False)


def test_a_record_that_is_gone_was_never_told_and_stays_so() -> None:
    bob = _connected()
    bob.hear(_invited(0))
    _by_sync(bob)
    bob.lose()
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id, gone=(IID,)))
    assert bob.names() == []


def test_a_core_without_chance_of_its_own_uses_the_system_s() -> None:
    assert Core("ann", "d1").subscriptions == ("ringline/v1/u/ann/evt", "ringline/v1/u/ann/d/d1")


def test_cancel_is_heard_by_those_it_settles_and_by_nobody_else() -> None:
    world = World()
    ann, bob, cid = world.device("ann"), world.device("bob"), world.device("cid")
    ann.request(invite("bob", "cid"))
    world.run()
    ann.request(cancel("bob"))
    world.run()
    assert bob.names() == ["receive_new_invitation", "invitation_cancelled"]
    assert (bob.heard[-1][1].invitees, bob.heard[-1][1].inviter) == (("bob",), "ann")
    assert cid.names() == ["receive_new_invitation"]
    assert at_once(world.server.store.load([IID]))[IID].invitation.pending == ("cid",)
