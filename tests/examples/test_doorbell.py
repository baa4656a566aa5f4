"""The doorbell: every device is a real client of a real server."""

import threading

import pytest

from ringline import SignalingError, SignalingListener
from ringline.events import NewInvitation
from tests.examples.cast import Cast
from tests.support.bound import BOUND_S

HOUSEHOLD = ("alice", "bob", "carol")


def test_the_first_who_answers_stops_all_other_phones(cast: Cast) -> None:
    phones = {name: cast.house_phone(name.partition("'")[0], name) for name in (*HOUSEHOLD, "bob's tablet")}
    cast.doorbell("front", *HOUSEHOLD).press()
    for name in phones:
        cast.expect(name, "rings: front")
    assert {phone.ringing for phone in phones.values()} == {("front",)}
    phones["bob"].answer()
    cast.expect("bob", "talks to front")
    cast.expect("bob's tablet", "stops ringing: answered on another device")
    cast.expect("alice", "stops ringing: bob answered")
    cast.expect("carol", "stops ringing: bob answered")
    cast.expect("front", "rings alice, bob, carol", "hears that bob answers")
    assert {phone.ringing for phone in phones.values()} == {()}


def test_of_two_who_answer_at_once_one_gets_it(cast: Cast) -> None:
    phones = {name: cast.house_phone(name) for name in ("alice", "bob")}
    cast.doorbell("front", *phones).press()
    cast.expect("front", "rings alice, bob")
    for name in phones:
        cast.expect(name, "rings: front")
    with pytest.MonkeyPatch.context() as patch:
        # Bob's phone hears late that Alice was quicker.
        quicker = threading.Event()
        heard = phones["bob"].on_invitation_taken
        patch.setattr(phones["bob"], "on_invitation_taken", lambda event: quicker.wait(BOUND_S) and heard(event))
        answered = phones["alice"].answer()
        assert answered is not None
        answered.result(BOUND_S)
        late = phones["bob"].answer()
        assert late is not None
        with pytest.raises(SignalingError, match="8010"):
            late.result(BOUND_S)
        quicker.set()
        cast.expect("bob", "stops ringing: alice answered")
    cast.expect("alice", "talks to front")
    cast.expect("front", "hears that alice answers")


def test_whoever_rejects_leaves_it_to_the_others(cast: Cast) -> None:
    alice, tablet, bob = cast.house_phone("alice"), cast.house_phone("alice", "tablet"), cast.house_phone("bob")
    cast.doorbell("front", "alice", "bob").press()
    cast.expect("front", "rings alice, bob")
    for name in ("alice", "tablet", "bob"):
        cast.expect(name, "rings: front")
    alice.reject()
    cast.expect("alice", "stops ringing: rejected here")
    cast.expect("tablet", "stops ringing: rejected on another device")
    assert (bob.ringing, tablet.ringing) == (("front",), ())
    bob.reject()
    cast.expect("bob", "stops ringing: rejected here")
    cast.expect("front", "hears that nobody answers: rejected")


def test_nobody_answers(cast: Cast) -> None:
    phone, doorbell = cast.house_phone("alice"), cast.doorbell("front", "alice", "bob")
    doorbell.press(timeout=1)
    cast.expect("front", "rings alice, bob", "hears that nobody answers: timed_out")
    cast.expect("alice", "rings: front", "stops ringing: nobody answered")
    assert phone.ringing == ()


def test_a_press_while_it_rings_changes_nothing_and_one_after_it_rings_again(cast: Cast) -> None:
    phone, doorbell = cast.house_phone("alice"), cast.doorbell("front", "alice")
    doorbell.press()
    doorbell.press()
    cast.expect("alice", "rings: front")
    phone.answer()
    cast.expect("alice", "talks to front")
    cast.expect("front", "rings alice", "hears that alice answers")
    doorbell.press()
    cast.expect("alice", "rings: front")
    cast.expect("front", "rings alice")


def test_two_doors_ring_and_the_first_is_answered_first(cast: Cast) -> None:
    phone, other = cast.house_phone("alice"), cast.house_phone("bob")
    cast.doorbell("front", "alice", "bob").press()
    cast.expect("front", "rings alice, bob")
    cast.expect("alice", "rings: front")
    cast.doorbell("garden", "alice", "bob").press()
    cast.expect("garden", "rings alice, bob")
    cast.expect("alice", "rings: garden")
    cast.expect("bob", "rings: front", "rings: garden")
    phone.answer()
    cast.expect("alice", "talks to front")
    cast.expect("bob", "stops ringing: alice answered")
    cast.expect("front", "hears that alice answers")
    assert phone.ringing == other.ringing == ("garden",)
    other.answer()
    cast.expect("bob", "talks to garden")
    cast.expect("alice", "stops ringing: bob answered")
    cast.expect("garden", "hears that bob answers")


def test_a_call_does_not_ring_a_house_phone_and_is_not_rejected(cast: Cast) -> None:
    came = threading.Event()

    class Last(SignalingListener):
        def on_receive_new_invitation(self, event: NewInvitation) -> None:
            del event
            came.set()

    client, other = cast.client("alice"), cast.client("bob")
    phone = cast.new_house_phone(client)
    client.add_listener(Last())
    cast.connect(client)
    cast.connect(other)
    handle = other.invite(["alice"], {"room": "r-1"})
    assert came.wait(BOUND_S)
    assert other.state(handle.invite_id).invitees == {"alice": "pending"}
    assert phone.ringing == ()
    assert phone.answer() is None
    assert phone.reject() is None


def test_a_doorbell_that_cannot_reach_the_server_says_so_and_can_be_pressed_again(cast: Cast) -> None:
    client = cast.client("front", url="mqtt://127.0.0.1:1")
    doorbell = cast.new_doorbell(client, "alice")
    client.connect()
    doorbell.press(timeout=1)
    cast.expect("front", "cannot ring: not_connected")
    doorbell.press(timeout=1)
    cast.expect("front", "cannot ring: not_connected")
