"""What two and more users go through: every operation, over real clients, a real broker and every store."""

import pytest

from ringline.errors import SignalingError
from ringline.invitations import FIRST, NONE
from tests.support.running import Ring


def test_a_call_is_answered(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], {"room": 7})
    call.result(5)
    ringing = bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
    assert (ringing.inviter, ringing.data, ringing.invitees) == ("alice", {"room": 7}, ("bob",))
    bob.client.ringing(call.invite_id)
    assert alice.heard.wait("invitee_ringing").device == bob.name
    bob.client.accept(call.invite_id, "coming").result(5)
    accepted = alice.heard.wait("invitee_accepted")
    assert (accepted.invitee, accepted.device, accepted.data) == ("bob", bob.name, "coming")
    assert not accepted.this_device
    assert bob.heard.wait("invitee_accepted").this_device
    for device in (alice, bob):
        assert device.heard.wait("invitation_ended").outcome == "accepted"
        device.heard.assert_nothing_twice()
    assert bob.heard.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]


def test_a_call_times_out_for_both(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], timeout=30)
    bob.heard.wait("receive_new_invitation")
    ring.advance(29_999)
    assert alice.client.state(call.invite_id).invitees == {"bob": "pending"}
    ring.advance(1)
    for device in (alice, bob):
        assert device.heard.wait("invitation_timeout").invitees == ("bob",)
        assert device.heard.wait("invitation_ended").outcome == "timed_out"
    with pytest.raises(SignalingError, match="timed_out") as late:
        bob.client.accept(call.invite_id).result(5)
    assert (late.value.code, late.value.name) == (8010, "invitation_over")


def test_the_first_of_a_household_takes_it(ring: Ring) -> None:
    door = ring.device("door")
    family = [ring.device(name) for name in ("anna", "ben", "cleo")]
    bell = door.client.invite([phone.user for phone in family], answers=FIRST)
    for phone in family:
        phone.heard.wait("receive_new_invitation")
    family[1].client.accept(bell.invite_id).result(5)
    for phone in (family[0], family[2]):
        taken = phone.heard.wait("invitation_taken")
        assert (taken.by, taken.device, taken.invitees) == ("ben", family[1].name, ("anna", "cleo"))
        assert phone.heard.wait("invitation_ended").outcome == "accepted"
    assert door.heard.wait("invitation_ended").outcome == "accepted"


def test_a_notice_is_heard_and_does_not_ring_later(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    record = alice.client.invite(["bob"], {"call_end": 61}, answers=NONE)
    heard = bob.heard.wait("receive_new_invitation")
    assert heard.notice
    assert bob.heard.wait("invitation_ended").outcome == "notice"
    late = ring.device("bob", since=1)
    missed = late.heard.wait("invitation_missed", invite_id=record.invite_id)
    assert (missed.part, missed.data, missed.outcome) == ("notified", {"call_end": 61}, "notice")
