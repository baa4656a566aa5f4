"""The rest of what can be asked: modify, partial cancels, counted answers, audiences, online only, no deadline."""

import time

import pytest

from ringline.data import Undecodable
from ringline.errors import SignalingError
from ringline.protocol.requests import Invite, encode_request
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.raw import RawDevice, request_id
from tests.support.running import Device, Ring, settings


def test_modified_data_reaches_who_may_still_come(ring: Ring) -> None:
    alice = ring.device("alice")
    bob, carol, dave = (ring.device(name) for name in ("bob", "carol", "dave"))
    call = alice.client.invite(["bob", "carol", "dave"], "room 1")
    for one in (bob, carol, dave):
        one.heard.wait("receive_new_invitation", data="room 1")
    bob.client.accept(call.invite_id).result(5)
    carol.client.reject(call.invite_id).result(5)
    alice.client.modify(call.invite_id, "room 2").result(5)
    for one in (alice, bob, dave):
        assert one.heard.wait("invitation_modified").data == "room 2"
    late = ring.device("dave", "tablet")
    assert late.heard.wait("invitation_modified").data == "room 2"
    assert late.heard.names() == ["receive_new_invitation", "invitation_modified"]
    alice.client.cancel(call.invite_id).result(5)
    carol.heard.wait("invitation_ended")
    assert "invitation_modified" not in carol.heard.names()


def test_some_invitees_are_cancelled_and_the_rest_ring_on(ring: Ring) -> None:
    alice, bob, carol = (ring.device(name) for name in ("alice", "bob", "carol"))
    call = alice.client.invite(["bob", "carol"])
    bob.heard.wait("receive_new_invitation")
    alice.client.cancel(call.invite_id, "never mind", invitees=["bob"], reason="changed_mind").result(5)
    cancelled = bob.heard.wait("invitation_cancelled")
    assert (cancelled.invitees, cancelled.data, cancelled.reason) == (("bob",), "never mind", "changed_mind")
    carol.client.accept(call.invite_id).result(5)
    for one in (bob, carol):
        assert one.heard.wait("invitation_ended").outcome == "accepted"
    assert carol.heard.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]


def test_the_first_two_of_three_take_it(ring: Ring) -> None:
    alice = ring.device("alice")
    others = [ring.device(name) for name in ("bob", "carol", "dave")]
    call = alice.client.invite([one.user for one in others], answers=2)
    for one in others:
        one.heard.wait("receive_new_invitation", answers=2)
    others[0].client.accept(call.invite_id).result(5)
    assert alice.client.state(call.invite_id).outcome is None
    others[2].client.accept(call.invite_id).result(5)
    taken = others[1].heard.wait("invitation_taken")
    assert (taken.by, taken.invitees) == ("dave", ("carol",))
    for one in (alice, *others):
        assert one.heard.wait("invitation_ended").outcome == "accepted"
    with pytest.raises(SignalingError, match="taken"):
        others[1].client.accept(call.invite_id).result(5)


def test_all_parties_hear_everything_where_the_audience_says_so(ring: Ring) -> None:
    alice, bob, carol = (ring.device(name) for name in ("alice", "bob", "carol"))
    call = alice.client.invite(["bob", "carol"], audience="parties")
    bob.heard.wait("receive_new_invitation")
    carol.client.reject(call.invite_id, reason="declined").result(5)
    assert bob.heard.wait("invitee_rejected").invitee == "carol"
    bob.client.accept(call.invite_id).result(5)
    assert carol.heard.wait("invitee_accepted").invitee == "bob"
    assert bob.client.state(call.invite_id).invitees == {"bob": "accepted", "carol": "rejected"}


def test_others_answers_are_nobodys_business_otherwise(ring: Ring) -> None:
    alice, bob, carol = (ring.device(name) for name in ("alice", "bob", "carol"))
    call = alice.client.invite(["bob", "carol"])
    carol.heard.wait("receive_new_invitation")
    carol.client.reject(call.invite_id, "private").result(5)
    bob.client.accept(call.invite_id).result(5)
    bob.heard.wait("invitation_ended")
    assert bob.heard.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]
    assert bob.client.state(call.invite_id).invitees == {"bob": "accepted"}


def test_online_only_with_nobody_online_ends_at_once(ring: Ring) -> None:
    alice = ring.device("alice")
    call = alice.client.invite(["bob", "carol"], online_only=True)
    assert alice.heard.wait("invitation_created").offline == ("bob", "carol")
    assert alice.heard.wait("invitation_ended").outcome == "offline"
    back = ring.device("bob", since=1)
    assert alice.client.state(call.invite_id).invitees == {"bob": "offline", "carol": "offline"}
    assert back.heard.names() == []


def test_online_only_is_never_synced_to_a_device_that_does_not_hold_it(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], online_only=True)
    bob.heard.wait("receive_new_invitation", online_only=True)
    late = ring.device("bob", "late", since=1)
    bob.client.accept(call.invite_id).result(5)
    alice.heard.wait("invitation_ended", outcome="accepted")
    later = ring.device("bob", "later", since=1)
    assert "receive_new_invitation" not in late.heard.names()
    assert later.heard.names() == []


def test_online_only_does_not_ring_late_because_a_later_event_is_heard(ring: Ring) -> None:
    alice, bob, carol = (ring.device(name) for name in ("alice", "bob", "carol"))
    call = alice.client.invite(["bob", "carol"], online_only=True, audience="parties")
    carol.heard.wait("receive_new_invitation")
    late = ring.device("bob", "late")
    bob.heard.wait("receive_new_invitation")
    carol.client.accept(call.invite_id).result(5)
    asked = late.client.counts.syncs
    while late.client.counts.syncs == asked:  # it asks for what it has not heard, after a second
        late.client.state(call.invite_id)
    alice.client.cancel(call.invite_id).result(5)
    bob.heard.wait("invitation_ended")
    assert late.heard.names() == []


def test_ones_own_answer_in_an_earlier_run_was_not_given_elsewhere(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob", "phone")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    bob.client.accept(call.invite_id).result(5)
    bob.close()
    again = ring.device("bob", "phone", since=bob.client.since).heard.wait("invitation_missed")
    assert (again.part, again.this_device, again.answered_elsewhere) == ("accepted", True, False)


def test_the_inviter_hears_who_is_offline(ring: Ring) -> None:
    alice = ring.device("alice")
    ring.device("bob")
    alice.client.invite(["bob", "carol"])
    assert alice.heard.wait("invitation_created").offline == ("carol",)


def test_without_a_deadline_it_expires_quietly_after_a_day(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], timeout=0)
    assert bob.heard.wait("receive_new_invitation").time_left is None
    ring.advance(86_399_999)
    assert alice.client.state(call.invite_id).outcome is None
    ring.advance(1)
    for device in (alice, bob):
        assert device.heard.wait("invitation_ended").outcome == "expired"
        assert "invitation_timeout" not in device.heard.names()


def test_an_answer_at_the_deadline_is_late(store_url: str) -> None:
    clock = ManualClock()
    with Ring(store_url, clock) as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        call = alice.client.invite(["bob"], timeout=30)
        bob.heard.wait("receive_new_invitation")
        ring.advance(30_000)
        with pytest.raises(SignalingError) as late:
            bob.client.accept(call.invite_id).result(5)
        assert (late.value.name, late.value.state and late.value.state.outcome) == ("invitation_over", "timed_out")
        alice.heard.wait("invitation_timeout")


def test_data_of_another_kind_of_client_comes_as_it_is(ring: Ring) -> None:
    bob = ring.device("bob")
    with RawDevice(ring.port, "alice") as alice:
        invite = Invite(id=request_id(), dev="raw", iid="odd", to=("bob",), data=b"\xc1 no msgpack")
        alice.send(encode_request(invite))
    assert bob.heard.wait("receive_new_invitation").data == Undecodable(b"\xc1 no msgpack")


def test_a_user_may_have_so_many_open_and_no_more(store_url: str) -> None:
    with Ring(store_url, ManualClock(), settings(max_open=3)) as ring:
        alice = ring.device("alice")
        calls = [alice.client.invite(["bob"]) for _ in range(3)]
        for call in calls:
            call.result(5)
        with pytest.raises(SignalingError) as refused:
            alice.client.invite(["bob"]).result(5)
        assert (refused.value.code, refused.value.name) == (7008, "too_many_requests")
        alice.client.cancel(calls[0].invite_id).result(5)
        alice.client.invite(["bob"]).result(5)


def test_what_is_long_over_is_forgotten(ring: Ring) -> None:
    alice = ring.device("alice")
    call = alice.client.invite(["bob"], timeout=1)
    call.result(5)
    ring.advance(1_000)
    alice.heard.wait("invitation_ended")
    ring.advance(3_000_000)
    assert alice.client.state(call.invite_id).outcome == "timed_out"
    assert _is_forgotten(ring, alice, call.invite_id)


def test_a_restarted_server_rings_on_and_times_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("restart")
    clock = ManualClock()
    with Ring(f"sqlite:{folder / 'ringline.sqlite'}", clock) as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        call = alice.client.invite(["bob"], timeout=30)
        bob.heard.wait("receive_new_invitation")
        ring.stop()
        for device in (alice, bob):
            device.heard.wait("disconnected")
        clock.advance(40_000)
        ring.start()
        for device in (alice, bob):
            device.heard.wait("invitation_timeout", invite_id=call.invite_id)
            device.heard.wait("connected", count=2)
            device.heard.assert_nothing_twice()


def test_a_server_that_forgot_everything_leaves_nobody_ringing() -> None:
    with Ring("memory:") as ring:
        bob = ring.device("bob")
        call = ring.device("alice").client.invite(["bob"])
        bob.heard.wait("receive_new_invitation")
        ring.stop()
        ring.start()
        assert bob.heard.wait("invitation_ended", invite_id=call.invite_id).outcome == "gone"


def _is_forgotten(ring: Ring, device: Device, invite_id: str) -> bool:
    """Ask until it is, while time goes on: forgetting takes its turn among other work."""
    end = time.monotonic() + BOUND_S
    while time.monotonic() < end:
        ring.advance(60_000)
        try:
            device.client.state(invite_id)
        except SignalingError as refused:
            return refused.name == "unknown_invitation"
    return False
