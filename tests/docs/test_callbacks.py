"""The page's table of callbacks, played: real cores around a real extension."""

from collections.abc import Callable
from typing import Any

import pytest

from ringline.protocol.events import EVENTS, Event
from ringline.protocol.group_requests import CreateGroup, DismissGroup, JoinGroup, OnGroup, QuitGroup, RemoveMembers
from ringline.protocol.requests import Accept, Cancel, Invite, Modify, OnInvitation, Reject, Ringing
from ringline_broker.engine.step import Deadline, NobodyOnline
from tests.docs.callbacks import CONCERNED, INVITER, ONLY_THE_END, ROWS
from tests.docs.stage import DEVICES, Stage

ENDED = "on_invitation_ended"
IID = "i1"
GID = "g1"


def _ask(stage: Stage, user: str, request: type[OnInvitation], iid: str = IID, **fields: Any) -> None:
    number = len(stage.heard).to_bytes(4, "big") + user.encode()[:4].ljust(4)
    stage.ask(user, request(id=number, dev="one", iid=iid, **fields))


def _in_group(stage: Stage, user: str, request: type[OnGroup], **fields: Any) -> None:
    number = len(stage.heard_of_groups).to_bytes(4, "big") + user.encode()[:4].ljust(4)
    stage.ask(user, request(id=number, dev="one", gid=GID, **fields))


def _taken(stage: Stage) -> None:
    _ask(stage, "ann", Invite, to=("bob", "cat"), answers=1)
    _ask(stage, "bob", Ringing)
    _ask(stage, "bob", Accept)


def _cancelled(stage: Stage) -> None:
    _ask(stage, "ann", Invite, to=("bob", "cat", "dan"))
    _ask(stage, "bob", Reject)
    _ask(stage, "dan", Accept)
    _ask(stage, "ann", Modify, data=b"1")
    _ask(stage, "ann", Cancel)


def _timed_out(stage: Stage) -> None:
    _ask(stage, "ann", Invite, to=("bob", "cat"))
    _ask(stage, "cat", Reject)
    stage.pass_time(30_000)
    stage.act(Deadline(IID))


def _expired(stage: Stage) -> None:
    _ask(stage, "ann", Invite, to=("bob",), timeout=0)
    stage.pass_time(86_400_000)
    stage.act(Deadline(IID))


def _offline(stage: Stage) -> None:
    _ask(stage, "ann", Invite, to=("bob",), online_only=True)
    stage.act(NobodyOnline(IID))


def _dropped(stage: Stage) -> None:
    _in_group(stage, "ann", CreateGroup, preset="meeting", to=("bob",))
    _ask(stage, "ann", Invite, to=("bob",), gid=GID)
    _in_group(stage, "bob", QuitGroup)


SCENES = (_taken, _cancelled, _timed_out, _expired, _offline, _dropped)


def _played(scene: Callable[[Stage], None]) -> Stage:
    stage = Stage("ann", "bob", "cat", "dan", "eve")
    scene(stage)
    return stage


STAGES = [_played(scene) for scene in SCENES]


def _whom(event: Event) -> set[str]:
    """The invitees whom an event of these scenes is about."""
    if event.ev in ("accepted", "rejected"):
        return {event.by or ""}
    named = getattr(event, "to", None) or getattr(event, "out", None)
    return set(named) if named else {"cat", "dan"}  # modified: bob has rejected


def test_every_row_and_no_other_callback() -> None:
    heard = {
        (h.event.ev, h.callback, INVITER if h.user == "ann" else CONCERNED if h.user in _whom(h.event) else h.user)
        for stage in STAGES
        for h in stage.heard
        if h.event is not None and h.callback != ENDED
    }
    assert heard == {(row.event, row.callback, who) for row in ROWS for who in row.who}


def test_every_kind_of_event_has_its_row() -> None:
    assert {row.event for row in ROWS} | set(ONLY_THE_END) == set(EVENTS)


@pytest.mark.parametrize("stage", STAGES, ids=[scene.__name__ for scene in SCENES])
def test_both_devices_of_a_user_hear_the_same(stage: Stage) -> None:
    one, two = (
        [(h.event, h.callback, h.user) for h in stage.heard if h.device == device and h.event is not None]
        for device in DEVICES
    )
    assert one == two != []


@pytest.mark.parametrize("stage", STAGES, ids=[scene.__name__ for scene in SCENES])
def test_the_end_is_heard_once_last_and_by_every_party(stage: Stage) -> None:
    parties = {h.user for h in stage.heard if h.event is not None and h.event.ev == "invited"}
    for user in parties:
        callbacks = [(h.event, h.callback) for h in stage.heard if (h.user, h.device) == (user, "two")]
        assert [callback for _, callback in callbacks].count(ENDED) == 1
        event, callback = callbacks[-1]
        assert callback == ENDED
        assert event is not None
        assert event.end is not None
    assert "eve" not in {h.user for h in stage.heard}


@pytest.mark.parametrize("event", ONLY_THE_END)
def test_what_has_no_callback_but_the_end(event: str) -> None:
    heard = {h.callback for stage in STAGES for h in stage.heard if h.event is not None and h.event.ev == event}
    assert heard == {ENDED}


def test_with_all_parties_as_audience_everybody_hears_everything() -> None:
    stage = Stage("ann", "bob", "cat")
    _ask(stage, "ann", Invite, to=("bob", "cat"), audience="parties")
    _ask(stage, "bob", Accept)
    _ask(stage, "cat", Reject)
    for event, callback in (("accepted", "on_invitee_accepted"), ("rejected", "on_invitee_rejected")):
        assert all(callback in stage.callbacks(event, user) for user in ("ann", "bob", "cat"))


def _meeting(*others: str) -> Stage:
    stage = Stage("ann", *others, "eve")
    _in_group(stage, "ann", CreateGroup, preset="meeting", to=others)
    stage.heard.clear()
    return stage


def test_in_a_group_all_members_hear_everything_and_only_the_invited_ring() -> None:
    stage = _meeting("bob", "cat", "dan")
    _ask(stage, "ann", Invite, to=("bob", "cat"), gid=GID)
    for user in ("bob", "cat", "dan"):
        assert stage.callbacks("invited", user) == ["on_receive_new_invitation"]
        assert stage.told("invited", user).to_me == (user != "dan")
    _ask(stage, "bob", Ringing)
    _ask(stage, "bob", Accept)
    _ask(stage, "ann", Modify, data=b"1")
    _ask(stage, "ann", Cancel)
    for event in ("accepted", "modified", "cancelled"):
        heard = {user: stage.callbacks(event, user) for user in ("ann", "bob", "cat", "dan")}
        assert set(map(tuple, heard.values())) == {tuple(heard["ann"])}
        assert heard["ann"]
    assert {h.user for h in stage.heard if h.event is not None and h.event.ev == "ringing"} == {"ann"}
    assert not [h for h in stage.heard if h.user == "eve"]


def test_a_member_who_comes_later_hears_of_what_is_open_and_does_not_ring() -> None:
    stage = _meeting("bob")
    _ask(stage, "ann", Invite, to=("bob",), gid=GID)
    _in_group(stage, "eve", JoinGroup)
    assert stage.callbacks(None, "eve") == ["on_receive_new_invitation"]
    assert not stage.told(None, "eve").to_me
    _ask(stage, "bob", Accept)
    assert stage.callbacks("accepted", "eve") == ["on_invitee_accepted", ENDED]


def test_one_who_was_removed_hears_that_it_is_over_and_the_others_go_on() -> None:
    stage = _meeting("bob", "cat")
    _ask(stage, "ann", Invite, to=("bob", "cat"), gid=GID)
    _in_group(stage, "ann", RemoveMembers, to=("bob",))
    for user in ("ann", "bob", "cat"):
        assert stage.callbacks("dropped", user) == ["on_invitation_dropped"]
    stage.heard.clear()
    _ask(stage, "cat", Accept)
    assert {h.user for h in stage.heard} == {"ann", "cat"}


def test_a_group_that_is_dismissed_ends_what_is_open_in_it() -> None:
    stage = _meeting("bob", "cat")
    _ask(stage, "ann", Invite, to=("bob",), gid=GID)
    _in_group(stage, "ann", DismissGroup)
    for user in ("ann", "bob", "cat"):
        assert stage.callbacks("dropped", user) == ["on_invitation_dropped", ENDED]


def test_of_what_was_over_for_others_nobody_is_told_by_sync() -> None:
    stage = _meeting("bob", "cat")
    stage.go("cat")
    _ask(stage, "ann", Invite, to=("bob",), gid=GID)
    _ask(stage, "bob", Accept)
    stage.come("cat")
    assert stage.callbacks(None, "cat") == ["on_connected"]


def test_a_notice() -> None:
    stage = Stage("ann", "bob")
    _ask(stage, "ann", Invite, to=("bob",), answers=0)
    assert stage.callbacks("invited", "ann") == ["on_invitation_created", ENDED]
    assert stage.callbacks("invited", "bob") == ["on_receive_new_invitation", ENDED]


def test_a_notice_that_comes_by_sync_is_missed() -> None:
    stage = Stage("ann", "bob", away=("bob",))
    _ask(stage, "ann", Invite, to=("bob",), answers=0)
    stage.come("bob")
    assert stage.callbacks(None, "bob") == ["on_invitation_missed", "on_connected"]


def test_an_invitation_that_is_over_is_missed() -> None:
    stage = Stage("ann", "bob", away=("bob",))
    _ask(stage, "ann", Invite, to=("bob",))
    _ask(stage, "ann", Cancel)
    stage.come("bob")
    assert stage.callbacks(None, "bob") == ["on_invitation_missed", "on_connected"]


def test_an_invitation_that_is_open_rings_after_a_sync() -> None:
    stage = Stage("ann", "bob", away=("bob",))
    _ask(stage, "ann", Invite, to=("bob",))
    stage.come("bob")
    assert stage.callbacks(None, "bob") == ["on_receive_new_invitation", "on_connected"]


def test_an_invitation_past_its_deadline_does_not_ring_and_is_missed_when_it_ends() -> None:
    stage = Stage("ann", "bob", away=("bob",))
    _ask(stage, "ann", Invite, to=("bob",))
    stage.pass_time(30_000)
    stage.come("bob")
    assert stage.callbacks(None, "bob") == ["on_connected"]
    stage.act(Deadline(IID))
    assert stage.callbacks("timed_out", "bob") == ["on_invitation_missed"]


def test_an_invitation_that_the_server_forgot_is_gone() -> None:
    stage = Stage("ann", "bob")
    _ask(stage, "ann", Invite, to=("bob",))
    stage.go("bob")
    stage.forget()
    stage.come("bob")
    assert stage.callbacks(None, "bob") == [ENDED, "on_connected"]


def test_crossing_invitations() -> None:
    """The lower id stands; the other rings nobody, and its cancellation is heard by its inviter alone."""
    stage = Stage("ann", "bob", away=("ann", "bob"))
    _ask(stage, "ann", Invite, iid="low", to=("bob",))
    _ask(stage, "bob", Invite, iid="top", to=("ann",))
    stage.come("ann")
    stage.come("bob")
    names = {user: {h.callback for h in stage.heard if h.user == user} for user in ("ann", "bob")}
    assert "on_receive_new_invitation" not in names["ann"]
    assert "on_invitation_missed" not in names["ann"]
    assert "on_receive_new_invitation" in names["bob"]
    assert "on_invitation_cancelled" in names["bob"]
