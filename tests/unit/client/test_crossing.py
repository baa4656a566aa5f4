"""Two users who invite each other at once: one call comes of it, on every device, whatever the order."""

from itertools import permutations

import pytest

from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.events import Accepted, Cancelled, Ended, Invited, Rejected
from ringline.protocol.requests import Cancel, OnInvitation
from tests.unit.client.world import Device, World
from tests.unit.engine.play import accept, cancel, invite, new_id, reject

LOW, HIGH = "call-a", "call-b"


def _settings(iid_of_ann: str) -> tuple[World, Device, Device, str]:
    """Ann and bob, and the id of bob's invitation."""
    world = World()
    return world, world.device("ann"), world.device("bob"), HIGH if iid_of_ann == LOW else LOW


def _crossing(device: Device) -> list[bool]:
    return [event.crossing for name, event in device.heard if name == "receive_new_invitation"]


@pytest.mark.parametrize("iid_of_ann", [LOW, HIGH])
def test_both_at_once(iid_of_ann: str) -> None:
    world, ann, bob, iid_of_bob = _settings(iid_of_ann)
    ann.request(invite("bob", iid=iid_of_ann))
    bob.request(invite("ann", iid=iid_of_bob))
    world.run()
    winner, loser = (ann, bob) if iid_of_ann == LOW else (bob, ann)
    assert winner.names(HIGH) == []  # it never rang, and is not missed
    assert winner.names(LOW) == ["invitation_created"]
    assert loser.names(LOW) == ["receive_new_invitation"]
    assert _crossing(loser) == [True]
    assert loser.names(HIGH) == ["invitation_created", "invitation_cancelled", "invitation_ended"]
    assert loser.heard[-2][1].reason == "crossing"
    loser.request(accept("d1", LOW))
    world.run()
    assert world.server.invitation(LOW).end == "accepted"
    assert world.server.invitation(HIGH).end == "cancelled"


@pytest.mark.parametrize("iid_of_ann", [LOW, HIGH])
def test_one_rings_already_when_the_other_is_made(iid_of_ann: str) -> None:
    world, ann, bob, iid_of_bob = _settings(iid_of_ann)
    bob.request(invite("ann", iid=iid_of_bob))
    world.run()
    ann.request(invite("bob", iid=iid_of_ann))
    world.run()
    assert world.server.invitation(HIGH).end == "cancelled"
    assert world.server.invitation(LOW).end is None
    if iid_of_bob == HIGH:
        assert ann.names(HIGH) == ["receive_new_invitation", "invitation_cancelled", "invitation_ended"]
        assert bob.names(LOW) == ["receive_new_invitation"]
    else:
        assert ann.names(LOW) == ["receive_new_invitation"]
        assert bob.names(HIGH) == []


@pytest.mark.parametrize("iid_of_ann", [LOW, HIGH])
def test_other_devices_cancel_nothing_and_ring_for_the_same_one(iid_of_ann: str) -> None:
    world, ann, bob, iid_of_bob = _settings(iid_of_ann)
    others = [world.device("ann", "d2"), world.device("bob", "d2")]
    ann.request(invite("bob", iid=iid_of_ann))
    bob.request(invite("ann", iid=iid_of_bob))
    world.run()
    loser = "bob" if iid_of_ann == LOW else "ann"
    for device in others:
        assert device.names(LOW) == (["receive_new_invitation"] if device.user == loser else ["invitation_created"])
        assert not [request for _, request in device.sent if isinstance(request, Cancel)]
        if device.user != loser and device.names(HIGH):  # it came before this device knew of the other one
            assert device.names(HIGH) == ["receive_new_invitation", "invitation_cancelled", "invitation_ended"]
    assert world.server.invitation(HIGH).end == "cancelled"


@pytest.mark.parametrize("iid_of_ann", [LOW, HIGH])
def test_with_several_invitees_only_the_crossing_one_is_taken_back(iid_of_ann: str) -> None:
    world, ann, bob, iid_of_bob = _settings(iid_of_ann)
    cid = world.device("cid")
    ann.request(invite("bob", "cid", iid=iid_of_ann))
    bob.request(invite("ann", iid=iid_of_bob))
    world.run()
    assert cid.names(iid_of_ann) == ["receive_new_invitation"]
    cid.request(accept("d1", iid_of_ann))
    world.run()
    if iid_of_ann == LOW:
        assert world.server.invitation(LOW).end is None
        assert bob.names(LOW) == ["receive_new_invitation"]
    else:
        assert {user: seat.part.value for user, seat in world.server.invitation(HIGH).seats.items()} == {
            "bob": "cancelled",
            "cid": "accepted",
        }
        assert bob.names(HIGH) == []  # not when it was taken back, nor when it ended for the others
        assert ann.names(LOW) == ["receive_new_invitation"]


def test_over_in_the_message_it_comes_with_it_is_not_missed_either() -> None:
    bob = Device("bob")
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    bob.heard.clear()
    cancelled = Cancelled(iid=HIGH, n=2, p=1, by="ann", dev="a", out=("bob",), reason="crossing")
    bob.hear(Invited(iid=HIGH, n=1, by="ann", dev="a", to=("bob", "cid"), ttl=30_000), cancelled)
    bob.hear(Ended(iid=HIGH, n=5, p=2, end="accepted"))
    assert bob.names() == []


def test_somebody_else_s_crossing_hides_nothing() -> None:
    bob = Device("bob")
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    bob.heard.clear()
    cancelled = Cancelled(iid=HIGH, n=2, p=1, by="ann", dev="a", out=("cid",), reason="crossing")
    invited = Invited(iid=HIGH, n=1, by="ann", dev="a", to=("bob", "cid"), ttl=30_000)
    bob.hear(invited, cancelled, Ended(iid=HIGH, n=3, p=2, end="cancelled"))
    assert bob.names() == ["invitation_missed"]


# One that was not sent, or not answered.


@pytest.mark.parametrize("iid_of_ann", [LOW, HIGH])
def test_an_invite_that_waited_for_a_connection(iid_of_ann: str) -> None:
    world, ann, bob, iid_of_bob = _settings(iid_of_ann)
    ann.lose()
    asked = ann.request(invite("bob", iid=iid_of_ann))
    bob.request(invite("ann", iid=iid_of_bob))
    world.run()
    ann.connect()
    world.run()
    assert world.server.invitation(LOW).end is None
    assert ann.error(asked) is None
    if iid_of_ann == LOW:
        assert (ann.names(HIGH), bob.names(LOW)) == ([], ["receive_new_invitation"])
        assert world.server.invitation(HIGH).end == "cancelled"
    else:
        assert (bob.names(HIGH), ann.names(LOW)) == ([], ["receive_new_invitation"])
        assert _crossing(ann) == [True]


def _unanswered(world: World, ann: Device, request: OnInvitation) -> bytes:
    """Ann has sent a request of which nothing comes back."""
    asked = ann.request(request)
    ann.outgoing.clear()
    world.run()
    return asked


def test_an_unanswered_invite_that_gives_way_is_cancelled_when_its_answer_comes() -> None:
    world, ann, bob, _ = _settings(HIGH)
    _unanswered(world, ann, invite("bob", iid=HIGH))
    bob.request(invite("ann", iid=LOW))
    world.run()
    assert ann.names(LOW) == ["receive_new_invitation"]
    assert _crossing(ann) == [True]
    world.wait(1)
    assert world.server.invitation(HIGH).end == "cancelled"
    assert bob.names(HIGH) == []


def test_an_unanswered_invite_of_several_is_taken_back_for_one() -> None:
    world, ann, bob, _ = _settings(HIGH)
    cid = world.device("cid")
    _unanswered(world, ann, invite("bob", "cid", iid=HIGH))
    bob.request(invite("ann", iid=LOW))
    world.run()
    world.wait(1)
    assert world.server.invitation(HIGH).pending == ("cid",)
    assert cid.names(HIGH) == ["receive_new_invitation"]
    assert bob.names(HIGH) == []


def test_an_unanswered_invite_that_stands_keeps_the_other_from_ringing() -> None:
    world, ann, bob, _ = _settings(LOW)
    _unanswered(world, ann, invite("bob", iid=LOW))
    bob.request(invite("ann", iid=HIGH))
    world.run()
    assert ann.names(HIGH) == []
    world.wait(1)
    assert bob.names(LOW) == ["receive_new_invitation"]
    assert world.server.invitation(HIGH).end == "cancelled"
    assert ann.names(HIGH) == []


@pytest.mark.parametrize("fails", ["refused", "given up"])
def test_when_the_invite_that_was_to_stand_fails_the_other_rings_after_all(fails: str) -> None:
    world, ann, bob, _ = _settings(LOW)
    asked = _unanswered(world, ann, invite("bob", iid=LOW, timeout=5))
    bob.request(invite("ann", iid=HIGH, timeout=30))
    world.run()
    assert ann.names(HIGH) == []
    if fails == "refused":
        ann.answer(Answer(re=asked, err=Refusal(code=7008, name="too_many_requests")))
    else:
        ann.wait(5)
        ann.outgoing.clear()
    assert ann.names(HIGH) == ["receive_new_invitation"]
    rings = ann.heard[-1][1]
    assert (rings.time_left, rings.crossing) == (30 if fails == "refused" else 25, False)
    assert ann.error(asked) is not None
    bob.request(cancel(iid=HIGH))
    world.run()
    assert ann.names(HIGH) == ["receive_new_invitation", "invitation_cancelled", "invitation_ended"]


def test_one_that_would_ring_after_all_but_is_over_stays_silent_or_is_missed() -> None:
    world, ann, bob, _ = _settings(LOW)
    asked = _unanswered(world, ann, invite("bob", iid=LOW))
    bob.request(invite("ann", iid=HIGH))
    world.run()
    bob.request(cancel(iid=HIGH))
    world.run()
    assert ann.names(HIGH) == ["invitation_missed"]
    ann.answer(Answer(re=asked, err=Refusal(code=7008, name="too_many_requests")))
    assert ann.names(HIGH) == ["invitation_missed"]


# What does not cross.


def test_a_notice_crosses_nothing() -> None:
    world, ann, bob, _ = _settings(LOW)
    ann.request(invite("bob", iid=LOW, answers=0))
    bob.request(invite("ann", iid=HIGH))
    world.run()
    assert ann.names(HIGH) == ["receive_new_invitation"]
    assert _crossing(ann) == [False]
    assert bob.names(LOW) == ["receive_new_invitation", "invitation_ended"]


def test_a_notice_without_an_answer_crosses_nothing_either() -> None:
    world, ann, bob, _ = _settings(LOW)
    _unanswered(world, ann, invite("bob", iid=LOW, answers=0))
    bob.request(invite("ann", iid=HIGH))
    world.run()
    assert ann.names(HIGH) == ["receive_new_invitation"]
    assert _crossing(ann) == [False]


def test_an_invitation_that_was_answered_crosses_nothing() -> None:
    world, ann, bob, _ = _settings(LOW)
    ann.request(invite("bob", "cid", iid=LOW))
    world.run()
    bob.request(reject("d1", LOW))
    world.run()
    bob.request(invite("ann", iid=HIGH))
    world.run()
    assert ann.names(HIGH) == ["receive_new_invitation"]
    assert _crossing(ann) == [False]


def test_third_parties_cross_nothing() -> None:
    world = World()
    ann, bob, cid = (world.device(user) for user in ("ann", "bob", "cid"))
    ann.request(invite("bob", iid="1"))
    bob.request(invite("cid", iid="2"))
    cid.request(invite("ann", iid="3"))
    world.run()
    for device, iid in ((bob, "1"), (cid, "2"), (ann, "3")):
        assert device.names(iid) == ["receive_new_invitation"]
        assert _crossing(device) == [False]


def test_ids_are_compared_as_bytes() -> None:
    world = World()
    ann, bob = world.device("ann"), world.device("bob")
    small, large = "é", "z"  # as text é sorts after z, and so it does as bytes; \uffff and 𐀀 tell UTF-16 apart
    for low, high in ((large, small), ("\uffee", "\U00010000")):
        ann.request(invite("bob", iid=high))
        bob.request(invite("ann", iid=low))
        world.run()
        assert world.server.invitation(high).end == "cancelled"
        bob.request(cancel(iid=low))
        world.run()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_any_order_of_arrival_one_call_comes_of_it(order: tuple[int, ...]) -> None:
    """Each side hears two invitations; whichever comes first, here and there, the same one stands."""
    world, ann, bob, _ = _settings(LOW)
    ann.request(invite("bob", iid=LOW, id=new_id()))
    bob.request(invite("ann", iid=HIGH, id=new_id()))
    spread: list[tuple[Device, Invited]] = []
    for device in (ann, bob):
        request = device.outgoing.pop()
        for user, [event] in world.server.ask(device.user, request)[1].items():
            assert isinstance(event, Invited)
            spread.append((ann if user == "ann" else bob, event))
    for index in order:
        device, event = spread[index]
        device.hear(event)
    world.run()
    assert world.server.invitation(LOW).end is None
    assert world.server.invitation(HIGH).end == "cancelled"
    assert "invitation_missed" not in ann.names() + bob.names()
    assert bob.names(LOW) == ["receive_new_invitation"]


def test_a_call_that_came_after_ones_own_was_over_rings_though_the_end_was_not_heard_yet() -> None:
    world, ann, bob, _ = _settings(LOW)
    ann.request(invite("bob", iid=LOW))
    world.run()
    ann.lose()
    bob.request(accept("d1", LOW))
    world.run()
    world.server.clock.advance(10)
    ann.connect()
    bob.request(invite("ann", iid=HIGH))
    world.run()  # ann hears of bob's call before her sync is answered
    assert ann.names(LOW) == ["invitation_created", "invitee_accepted", "invitation_ended"]
    assert ann.names(HIGH) == ["receive_new_invitation"]
    assert _crossing(ann) == [False]
    assert world.server.invitation(HIGH).end is None


@pytest.mark.parametrize("is_over", [True, False])
def test_a_call_back_gives_way_only_to_a_call_that_still_stands(*, is_over: bool) -> None:
    world, ann, bob, _ = _settings(LOW)
    ann.request(invite("bob", iid=LOW))
    world.run()
    bob.lose()
    if is_over:
        ann.request(cancel(iid=LOW))
        world.run()
    bob.request(invite("ann", iid=HIGH))
    bob.connect()
    world.run()  # bob hears that his call stands before his sync is answered
    assert world.server.invitation(HIGH).end == (None if is_over else "cancelled")
    assert world.server.invitation(LOW).end == ("cancelled" if is_over else None)


def test_one_that_gives_way_does_not_ring_because_the_one_that_stands_is_rejected() -> None:
    """Bob was rung by it, so his device takes back his own."""
    ann = Device("ann")
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id))
    asked = ann.request(invite("bob", iid=LOW))
    ann.hear(Invited(iid=LOW, n=1, by="ann", dev="d1", re=asked, to=("bob",), ttl=30_000))
    ann.hear(Invited(iid=HIGH, n=1, by="bob", dev="b1", to=("ann",), ttl=30_000))
    ann.hear(Rejected(iid=LOW, n=2, p=1, by="bob", dev="b1", end="rejected"))
    ann.hear(Cancelled(iid=HIGH, n=2, p=1, by="bob", dev="b1", out=("ann",), reason="crossing", end="cancelled"))
    assert ann.names(HIGH) == []


def _with_a_call_from_ann(name: str) -> Device:
    """A device that holds ann's call to bob, made at 100."""
    device = Device(name)
    device.connect()
    device.answer(Answer(re=device.take_sync().id))
    device.hear(Invited(iid=LOW, n=1, ts=100, by="ann", dev="d1", to=("bob",), ttl=30_000))
    return device


@pytest.mark.parametrize(("made", "gives_way"), [(110, True), (120, True), (121, False)])
def test_a_call_whose_news_comes_late_gives_way_as_the_other_side_had_it(*, made: int, gives_way: bool) -> None:
    """Another of bob's devices has accepted meanwhile; ann heard of bob's call while hers stood, and does not ring."""
    bob = _with_a_call_from_ann("bob")
    asked = bob.request(invite("ann", iid=HIGH))
    bob.hear(Accepted(iid=LOW, n=2, p=1, ts=120, by="bob", dev="b2", end="accepted"))
    bob.hear(Invited(iid=HIGH, n=1, ts=made, by="bob", dev="d1", re=asked, to=("ann",), ttl=30_000))
    taken_back = [one for one in bob.outgoing if isinstance(one, Cancel) and one.iid == HIGH]
    assert [one.reason for one in taken_back] == ["crossing"] * gives_way


@pytest.mark.parametrize(("made", "rings"), [(110, False), (120, False), (121, True)])
def test_a_call_made_after_the_other_was_over_rings_though_it_was_heard_of_before(*, made: int, rings: bool) -> None:
    """Several workers keep no order between invitations."""
    ann = _with_a_call_from_ann("ann")
    ann.hear(Invited(iid=HIGH, n=1, ts=made, by="bob", dev="b1", to=("ann",), ttl=30_000))
    assert ann.names(HIGH) == []
    ann.hear(Accepted(iid=LOW, n=2, p=1, ts=120, by="bob", dev="b2", end="accepted"))
    assert ann.names(HIGH) == ["receive_new_invitation"] * rings
