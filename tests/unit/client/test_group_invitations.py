"""Invitations in a group: all members hear of them, the invited ring, and nobody rings for what they came late to."""

from typing import Any

import pytest

from ringline.core.held import GAP_WAIT_S
from ringline.protocol.answers import Answer
from ringline.protocol.events import (
    Accepted,
    Cancelled,
    Dropped,
    Event,
    Invited,
    Modified,
    Rejected,
    TimedOut,
    event_map,
)
from ringline.protocol.group_requests import SyncGroup
from ringline.protocol.requests import Sync
from tests.unit.client.group_play import (
    GID,
    answer_group,
    answer_sync,
    connected,
    kicked,
    left,
    member,
    state,
)
from tests.unit.client.group_play import invited as member_invited
from tests.unit.client.world import Device
from tests.unit.engine.play import IID


def _invited(*to: str, ttl: int | None = 30_000, **fields: Any) -> Invited:
    return Invited(iid=IID, n=1, by="zoe", dev="z1", to=to or ("bob", "cid"), ttl=ttl, gid=GID, **fields)


def _accepted(by: str = "bob", n: int = 2, **fields: Any) -> Accepted:
    return Accepted(iid=IID, n=n, p=n - 1, by=by, dev="x1", **fields)


def _dropped(*out: str, n: int = 2, reason: str = "left", **fields: Any) -> Dropped:
    return Dropped(iid=IID, n=n, p=n - 1, out=out, reason=reason, **fields)


def _syncing() -> Device:
    """A device that has subscribed to the group and asks for what it missed."""
    made = Device("ann")
    made.connect()
    answer_sync(made, {GID: 10})
    made.grant()
    return made


# Who hears.


def test_who_is_invited_rings_and_others_see() -> None:
    bob, ann = member(user="bob"), member()
    for device, to_me in ((bob, True), (ann, False)):
        device.hear_in(GID, _invited(data=b"\x07"))
        [(name, event)] = device.heard
        assert name == "receive_new_invitation"
        assert (event.to_me, event.group_id, event.invitees, event.data) == (to_me, GID, ("bob", "cid"), 7)
        assert event.time_left == 30


def test_the_inviter_s_own_devices_hear_that_it_stands() -> None:
    zoe = member(user="zoe")
    zoe.hear_in(GID, _invited())
    assert zoe.names() == ["invitation_created"]
    assert zoe.heard[0][1].group_id == GID


EVENTS: list[tuple[Event, str]] = [
    (_accepted(), "invitee_accepted"),
    (Rejected(iid=IID, n=2, p=1, by="bob", dev="b1"), "invitee_rejected"),
    (Cancelled(iid=IID, n=2, p=1, by="zoe", dev="z1", out=("bob",)), "invitation_cancelled"),
    (TimedOut(iid=IID, n=2, p=1, out=("bob", "cid")), "invitation_timeout"),
    (Modified(iid=IID, n=2, p=1, by="zoe", data=b"\x01"), "invitation_modified"),
    (_dropped("bob"), "invitation_dropped"),
]


@pytest.mark.parametrize(("event", "callback"), EVENTS, ids=[callback for _, callback in EVENTS])
def test_all_members_hear_what_becomes_of_it(event: Event, callback: str) -> None:
    ann = member()
    ann.hear_in(GID, _invited(), event, _accepted("cid", 3, end="accepted"))
    ann.hear(_invited(), event)
    assert ann.names() == []  # over in the message it came with: nothing to see
    ann = member()
    ann.hear_in(GID, _invited())
    ann.hear_in(GID, event)
    ann.hear_in(GID, _accepted("cid", 3, end="accepted"))
    ann.hear(_invited(), event)
    assert ann.names() == ["receive_new_invitation", callback, "invitee_accepted", "invitation_ended"]


def test_other_members_are_not_told_of_what_has_no_time_left() -> None:
    ann = member()
    ann.hear_in(GID, _invited(ttl=0))
    ann.hear_in(GID, TimedOut(iid=IID, n=2, p=1, out=("bob", "cid"), end="timed_out"))
    assert ann.names() == []


def test_other_members_hear_a_notice_as_it_happens_and_miss_none() -> None:
    ann, notice = member(), _invited(ttl=0, end="notice", answers=0)
    ann.hear_in(GID, notice)
    assert ann.names() == ["receive_new_invitation", "invitation_ended"]
    assert (ann.heard[0][1].notice, ann.heard[0][1].to_me) == (True, False)
    late = _syncing()
    answer_group(late, notice, group=state(10))
    assert late.names() == []


def test_other_members_miss_nothing_that_is_over() -> None:
    ann = _syncing()
    answer_group(ann, _invited(ttl=0), _accepted(end="accepted"), group=state(10))
    assert ann.names() == []


def test_who_is_invited_misses_what_is_over() -> None:
    bob = member(user="bob")
    bob.hear_in(GID, _invited(), TimedOut(iid=IID, n=2, p=1, out=("bob", "cid"), end="timed_out"))
    assert bob.names() == ["invitation_missed"]
    assert bob.heard[0][1].group_id == GID


# Who came late.


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_who_joins_in_mid_invitation_hears_nothing_of_it_live(user: str) -> None:
    late = member(user=user)
    late.hear_in(GID, _accepted("cid"))
    late.hear_in(GID, _dropped("bob", n=3, end="accepted"))
    late.wait(60)
    assert (late.names(), late.outgoing) == ([], [])
    assert late.core._held == {}


def test_an_event_that_overtook_the_first_one_is_heard_after_it() -> None:
    ann = member()
    ann.hear_in(GID, _accepted())
    ann.wait(GAP_WAIT_S / 2)
    ann.hear_in(GID, _invited())
    assert ann.names() == ["receive_new_invitation", "invitee_accepted"]


@pytest.mark.parametrize(("user", "to_me"), [("ann", False), ("cid", True)])
def test_the_sync_of_the_group_tells_who_joins_of_what_is_open(user: str, to_me: bool) -> None:
    late = connected(user)
    late.hear(member_invited(5, 4, user))
    late.grant()
    late.hear_in(GID, Modified(iid=IID, n=3, p=2, by="zoe", data=b"\x01"))
    late.wait(GAP_WAIT_S)
    answer_group(late, _invited(ttl=9_000), _accepted())
    assert late.names(IID) == ["receive_new_invitation", "invitee_accepted", "invitation_modified"]
    [new] = [event for name, event in late.heard if name == "receive_new_invitation"]
    assert (new.to_me, new.time_left) == (to_me, 9)


def test_the_sync_of_the_group_names_what_is_open_in_it_and_the_user_s_own_what_concerns_the_user() -> None:
    ann = member()
    ann.hear_in(GID, _invited())
    ann.hear_in(GID, Invited(iid="mine", n=1, by="zoe", to=("ann",), gid=GID))
    ann.hear(Invited(iid="outside", n=1, by="zoe", to=("ann",)))
    ann.lose()
    ann.connect()
    sync = ann.take_sync()
    assert sync.known == {"mine": 1, "outside": 1}
    ann.answer(Answer(re=sync.id, groups={GID: 10}))
    ann.grant()
    assert answer_group(ann, _accepted(end="accepted"), gone=("mine",)).known == {IID: 1, "mine": 1}
    assert ann.names()[-3:] == ["invitee_accepted", "invitation_ended", "invitation_ended"]


def test_what_is_missing_of_one_is_asked_for() -> None:
    ann = member()
    ann.hear_in(GID, _invited())
    ann.hear_in(GID, _accepted("cid", 3))
    ann.wait(GAP_WAIT_S)
    sync = ann.take_sync()
    assert (sync.only, sync.known) == (True, {IID: 1})
    ann.answer(Answer(re=sync.id, events=(event_map(_accepted()),)))
    assert ann.names() == ["receive_new_invitation", "invitee_accepted", "invitee_accepted"]


# Leaving.


def test_who_is_dropped_stops_ringing_and_hears_no_more_of_it() -> None:
    bob = member(user="bob")
    bob.hear_in(GID, _invited())
    bob.hear(_dropped("bob", reason="removed"), kicked(11, 10, "bob"))
    bob.hear(_accepted("cid", 3, end="accepted"))
    bob.wait(60)
    assert [name for name, _ in bob.heard] == ["receive_new_invitation", "invitation_dropped", "member_kicked"]
    assert (bob.heard[1][1].invitees, bob.heard[1][1].reason) == (("bob",), "removed")
    assert not [request for request in bob.outgoing if isinstance(request, Sync)]


def test_who_is_dropped_with_the_group_hears_its_end() -> None:
    bob = member(user="bob")
    bob.hear_in(GID, _invited())
    bob.hear_in(GID, _dropped("bob", "cid", reason="dismissed", end="dropped"))
    assert bob.names() == ["receive_new_invitation", "invitation_dropped", "invitation_ended"]
    assert bob.heard[-1][1].outcome == "dropped"


def test_who_was_dropped_before_it_could_ring_missed_it() -> None:
    bob = member(user="bob")
    bob.hear_in(GID, _invited(), _dropped("bob"))
    assert bob.names() == ["invitation_missed"]
    assert bob.heard[0][1].part == "dropped"


def test_who_leaves_the_group_forgets_what_it_only_watched() -> None:
    ann = member()
    ann.hear_in(GID, _invited())
    ann.hear_in(GID, Invited(iid="mine", n=1, by="zoe", to=("ann",), gid=GID, ttl=30_000))
    ann.hear(left(11, 10))
    assert set(ann.core._held) == {"mine"}
    ann.wait(40)
    assert next(request.known for request in ann.outgoing if isinstance(request, Sync)) == {"mine": 1}


def test_who_comes_back_is_told_anew_of_what_it_watched() -> None:
    ann = member()
    ann.hear_in(GID, _invited())
    ann.hear(left(11, 10))
    ann.hear(member_invited(12, 11))
    ann.grant()
    answer_group(ann, _invited(ttl=5_000))
    assert ann.names(IID) == ["receive_new_invitation"] * 2


def test_a_group_sync_that_was_refused_leaves_invitations_alone() -> None:
    bob = member(user="bob")
    bob.hear_in(GID, _invited())
    bob.hear_in(GID, kicked(13, 12, "bob"))
    bob.wait(GAP_WAIT_S)
    assert not [request for request in bob.outgoing if isinstance(request, SyncGroup)]
    bob.hear(_dropped("bob"))
    assert [name for name, _ in bob.heard] == ["receive_new_invitation", "member_kicked", "invitation_dropped"]
