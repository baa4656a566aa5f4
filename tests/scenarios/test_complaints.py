"""What users of other systems complain of, one test each; the numbers are those of the list this project began with.

`python -m tests.cures` takes out what cures each, one at a time, and sees its test go red.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from ringline.errors import SignalingError
from ringline.protocol.requests import Cancel, Invite, encode_request
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.proxy import Proxy
from tests.support.raw import RawDevice, request_id
from tests.support.running import Device, Ring

A_YEAR_MS = 365 * 86_400_000


def _late(device: Device, invite_id: str) -> SignalingError:
    """Accept what is over, and be told so."""
    with pytest.raises(SignalingError) as refused:
        device.client.accept(invite_id).result(5)
    return refused.value


def test_complaint_01_clocks_apart_drop_no_invitation(store_url: str) -> None:
    clock = ManualClock()
    with Ring(store_url, clock) as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        clock.set_wall(clock.wall_ms() - A_YEAR_MS)
        call = alice.client.invite(["bob"], timeout=30)
        call.result(5)
        clock.set_wall(clock.wall_ms() + 2 * A_YEAR_MS)
        late = ring.device("bob", "late")
        assert late.heard.wait("receive_new_invitation", invite_id=call.invite_id).time_left == 30.0
        bob.client.accept(call.invite_id).result(5)
        assert alice.heard.wait("invitee_accepted").invitee == "bob"


def test_complaint_03_nothing_new_after_a_timeout(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], timeout=5)
    bob.heard.wait("receive_new_invitation")
    ring.advance(5_000)
    bob.heard.wait("invitation_ended")
    alice.heard.wait("invitation_ended")
    ring.advance(60_000)
    back = ring.device("bob", since=bob.client.since)
    back.heard.wait("invitation_missed", invite_id=call.invite_id)
    assert bob.heard.names() == ["receive_new_invitation", "invitation_timeout", "invitation_ended"]
    assert alice.heard.names() == ["invitation_created", "invitation_timeout", "invitation_ended"]
    assert back.heard.names() == ["invitation_missed"]


def test_complaint_04_a_cancel_can_be_repeated(ring: Ring) -> None:
    alice, tablet, bob = ring.device("alice"), ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    alice.client.cancel(call.invite_id).result(5)
    alice.client.cancel(call.invite_id).result(5)
    with pytest.raises(SignalingError) as refused:
        tablet.client.cancel(call.invite_id).result(5)
    assert refused.value.state is not None
    assert (refused.value.state.outcome, refused.value.state.device) == ("cancelled", alice.name)
    bob.heard.wait("invitation_ended")
    bob.heard.assert_nothing_twice()


def test_complaint_05_an_accept_made_without_a_connection_counts(ring: Ring) -> None:
    alice = ring.device("alice")
    with Proxy(ring.port) as proxy:
        bob = ring.device("bob", url=proxy.url)
        call = alice.client.invite(["bob"], timeout=30)
        bob.heard.wait("receive_new_invitation")
        proxy.close_door()
        bob.heard.wait("disconnected")
        accept = bob.client.accept(call.invite_id)
        proxy.open_door()
        accept.result(10)
        ring.advance(31_000)
        alice.heard.wait("invitation_ended", outcome="accepted")
        assert "invitation_timeout" not in alice.heard.names() + bob.heard.names()
        bob.close()


def test_complaint_07_no_ring_long_after_the_call(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    bob.close()
    call = alice.client.invite(["bob"], timeout=30)
    call.result(5)
    ring.advance(17 * 60_000)
    alice.heard.wait("invitation_ended")
    back = ring.device("bob", since=bob.client.since)
    back.heard.wait("invitation_missed")
    assert back.heard.names() == ["invitation_missed"]


def test_complaint_08_a_missed_call_is_told(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    bob.close()
    call = alice.client.invite(["bob"], {"room": 3}, timeout=30)
    call.result(5)
    ring.advance(30_000)
    alice.heard.wait("invitation_timeout")
    missed = ring.device("bob", since=bob.client.since).heard.wait("invitation_missed")
    assert (missed.invite_id, missed.inviter, missed.part) == (call.invite_id, "alice", "timed_out")
    assert missed.data == {"room": 3}
    assert not missed.answered_elsewhere


def test_complaint_10_an_accept_ends_the_timer(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], timeout=30)
    bob.heard.wait("receive_new_invitation")
    ring.advance(29_999)
    bob.client.accept(call.invite_id).result(5)
    ring.advance(60_000)
    other = alice.client.invite(["bob"], timeout=1)
    other.result(5)
    ring.advance(1_000)
    bob.heard.wait("invitation_timeout", invite_id=other.invite_id)
    assert bob.heard.names(call.invite_id) == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]
    assert alice.heard.names(call.invite_id) == ["invitation_created", "invitee_accepted", "invitation_ended"]


def test_complaint_11_a_cancel_right_after_the_invite(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"])
    alice.client.cancel(call.invite_id).result(5)
    again = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation", invite_id=again.invite_id)
    assert bob.heard.names(call.invite_id) in (
        ["invitation_missed"],
        ["receive_new_invitation", "invitation_cancelled", "invitation_ended"],
    )


def test_complaint_12_the_same_person_can_be_invited_again_and_again(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    for _ in range(40):  # more than may be open at once
        call = alice.client.invite(["bob"])
        call.result(5)
        bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
        bob.client.reject(call.invite_id).result(5)
    both = [alice.client.invite(["bob"]) for _ in range(2)]
    for call in both:
        bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)


def test_complaint_13_an_id_learnt_elsewhere_can_be_accepted(ring: Ring) -> None:
    alice = ring.device("alice")
    call = alice.client.invite(["bob"])
    call.result(5)
    woken = ring.device("bob", connect=False)  # by a push, with nothing but the id
    accept = woken.client.accept(call.invite_id)
    woken.client.connect()
    accept.result(10)
    assert alice.heard.wait("invitee_accepted").device == woken.name


def test_complaint_14_dismissing_on_another_device_ends_no_call(ring: Ring) -> None:
    alice, phone, tablet = ring.device("alice"), ring.device("bob"), ring.device("bob")
    call = alice.client.invite(["bob"])
    for device in (phone, tablet):
        device.heard.wait("receive_new_invitation")
    phone.client.accept(call.invite_id).result(5)
    with pytest.raises(SignalingError) as refused:
        tablet.client.reject(call.invite_id).result(5)
    assert (refused.value.code, phone.name in refused.value.text) == (8010, True)
    assert refused.value.state is not None
    assert refused.value.state.device == phone.name
    assert alice.client.state(call.invite_id).invitees == {"bob": "accepted"}
    assert "invitee_rejected" not in alice.heard.names()


def test_complaint_15_every_other_device_stops_ringing(ring: Ring) -> None:
    alice = ring.device("alice")
    devices = [ring.device("bob") for _ in range(4)]
    call = alice.client.invite(["bob"])
    for device in devices:
        device.heard.wait("receive_new_invitation")
    devices[2].client.accept(call.invite_id).result(5)
    for device in devices:
        accepted = device.heard.wait("invitee_accepted")
        assert (accepted.device, accepted.this_device) == (devices[2].name, device is devices[2])
        device.heard.assert_nothing_twice()


def test_complaint_16_answered_elsewhere_is_not_missed(ring: Ring) -> None:
    alice, phone, tablet = ring.device("alice"), ring.device("bob"), ring.device("bob")
    tablet.close()
    call = alice.client.invite(["bob"])
    phone.heard.wait("receive_new_invitation")
    phone.client.accept(call.invite_id).result(5)
    back = ring.device("bob", since=tablet.client.since)
    told = back.heard.wait("invitation_missed")
    assert (told.answered_elsewhere, told.part, told.device) == (True, "accepted", phone.name)
    assert back.heard.names() == ["invitation_missed"]


def test_complaint_17_no_ghost_ring_after_a_reconnect(ring: Ring) -> None:
    alice = ring.device("alice")
    with Proxy(ring.port) as proxy:
        bob = ring.device("bob", url=proxy.url)
        call = alice.client.invite(["bob"])
        bob.heard.wait("receive_new_invitation")
        proxy.close_door()
        bob.heard.wait("disconnected")
        alice.client.cancel(call.invite_id).result(5)
        proxy.open_door()
        bob.heard.wait("invitation_cancelled")
        assert bob.heard.names() == ["receive_new_invitation", "invitation_cancelled", "invitation_ended"]
        assert _late(bob, call.invite_id).name == "invitation_over"
        bob.close()


def test_complaint_18_a_phone_switched_on_gets_no_finished_call(ring: Ring) -> None:
    alice = ring.device("alice")
    call = alice.client.invite(["bob"])
    call.result(5)
    alice.client.cancel(call.invite_id).result(5)
    ring.advance(600_000)
    bob = ring.device("bob")
    again = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation", invite_id=again.invite_id)
    assert bob.heard.names() == ["receive_new_invitation"]


def test_complaint_19_a_cancel_that_overtakes_its_invite(ring: Ring) -> None:
    bob = ring.device("bob")
    with RawDevice(ring.port, "alice") as alice:
        cancel = Cancel(id=request_id(), dev="raw", iid="overtaken")
        assert alice.ask(encode_request(cancel)).err is None
        late = alice.ask(encode_request(Invite(id=request_id(), dev="raw", iid="overtaken", to=("bob",))))
        assert late.err is not None
        assert (late.err.code, late.err.name) == (8010, "invitation_over")
        alice.send(encode_request(Invite(id=request_id(), dev="raw", iid="another", to=("bob",))))
    bob.heard.wait("receive_new_invitation", invite_id="another")
    assert bob.heard.names("overtaken") == []


@contextmanager
def _standing_still(ring: Ring) -> Generator[None]:
    """Inside, the extension does nothing."""
    begun, go_on = threading.Event(), threading.Event()

    def stand() -> None:
        begun.set()
        assert go_on.wait(BOUND_S)

    standing = threading.Thread(target=ring.on_loop, args=(stand,))
    standing.start()
    assert begun.wait(BOUND_S)
    try:
        yield
    finally:
        go_on.set()
        standing.join()


@pytest.mark.parametrize("lower", ["alice", "bob"])
def test_complaint_21_two_who_call_each_other_meet(ring: Ring, lower: str) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    ids = {"alice": "a-lower" if lower == "alice" else "z", "bob": "a-lower" if lower == "bob" else "z"}
    for device in (alice, bob):
        accept = device.client.accept
        device.heard.react("receive_new_invitation", lambda event, accept=accept: accept(event.invite_id))  # type: ignore[misc]
    with _standing_still(ring):  # both are sent before either is heard
        calls = [
            device.client.invite([other.user], invite_id=ids[device.user])
            for device, other in ((alice, bob), (bob, alice))
        ]
    inviter, invitee = (alice, bob) if lower == "alice" else (bob, alice)
    for device in (inviter, invitee):
        assert device.heard.wait("invitation_ended", invite_id="a-lower").outcome == "accepted"
    assert invitee.heard.wait("receive_new_invitation", invite_id="a-lower").crossing
    assert invitee.heard.wait("invitation_cancelled", invite_id="z").reason == "crossing"
    assert "receive_new_invitation" not in inviter.heard.names("z")
    for call in calls:
        assert call.result(5) is None


def test_complaint_22_a_wrong_clock_makes_no_call_missed(store_url: str) -> None:
    with Ring(store_url, ManualClock(wall_ms=1_000)) as ring:  # a device without a clock, in 1970
        alice, bob = ring.device("alice"), ring.device("bob", since=1_900_000_000_000)
        call = alice.client.invite(["bob"], timeout=20)
        assert bob.heard.wait("receive_new_invitation").time_left == 20.0
        bob.client.accept(call.invite_id).result(5)
        assert "invitation_missed" not in bob.heard.names()


def test_complaint_24_the_inviter_learns_that_it_rings(ring: Ring) -> None:
    alice, bob, silent = ring.device("alice"), ring.device("bob"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    silent.heard.wait("receive_new_invitation")
    assert "invitee_ringing" not in alice.heard.names()  # hearing of it is not ringing
    bob.client.ringing(call.invite_id)
    assert alice.heard.wait("invitee_ringing").device == bob.name


def test_complaint_27_both_sides_hear_of_the_timeout_whoever_is_dead(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"], timeout=30)
    bob.heard.wait("receive_new_invitation")
    alice.close()
    ring.advance(30_000)
    bob.heard.wait("invitation_timeout", invite_id=call.invite_id)
    back = ring.device("alice", alice.name, since=alice.client.since)
    assert back.heard.wait("invitation_timeout").invitees == ("bob",)


def test_complaint_28_ones_own_accept_is_known_as_ones_own(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    bob.client.accept(call.invite_id).result(5)
    assert bob.heard.wait("invitee_accepted").this_device
    bob.client.accept(call.invite_id).result(5)  # and a second press is no fault
    assert bob.heard.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]


def test_complaint_29_a_second_reject_changes_nothing(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    bob.client.reject(call.invite_id, reason="declined").result(5)
    bob.client.reject(call.invite_id, reason="busy").result(5)
    assert alice.heard.wait("invitee_rejected").reason == "declined"
    alice.heard.wait("invitation_ended")
    alice.heard.assert_nothing_twice()
    assert alice.heard.names().count("invitee_rejected") == 1


@pytest.mark.parametrize("answer", ["accept", "reject"])
def test_complaint_30_an_answer_is_no_cancel(ring: Ring, answer: str) -> None:
    alice, bob, tablet = ring.device("alice"), ring.device("bob"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    getattr(bob.client, answer)(call.invite_id).result(5)
    for device in (alice, bob, tablet):
        device.heard.wait("invitation_ended")
        assert "invitation_cancelled" not in device.heard.names()


def test_complaint_31_who_is_woken_after_the_end_can_ask(ring: Ring) -> None:
    alice = ring.device("alice")
    call = alice.client.invite(["bob"], {"room": 9})
    call.result(5)
    alice.client.cancel(call.invite_id).result(5)
    woken = ring.device("bob")
    state = woken.client.state(call.invite_id)
    assert (state.outcome, state.invitees, state.inviter) == ("cancelled", {"bob": "cancelled"}, "alice")
    assert woken.heard.names() == []


def test_complaint_32_nobody_is_stuck_when_a_call_of_many_is_cancelled(ring: Ring) -> None:
    alice = ring.device("alice")
    others = [ring.device(name) for name in ("bob", "carol", "dave", "erin")]
    call = alice.client.invite([one.user for one in others])
    for one in others:
        one.heard.wait("receive_new_invitation")
    others[0].client.accept(call.invite_id).result(5)
    others[1].client.reject(call.invite_id).result(5)
    alice.client.cancel(call.invite_id).result(5)
    for one in others:
        assert one.heard.wait("invitation_ended").outcome == "accepted"
        assert ("invitation_cancelled" in one.heard.names()) == (one in others[2:])
    assert alice.client.state(call.invite_id).invitees == {
        "bob": "accepted", "carol": "rejected", "dave": "cancelled", "erin": "cancelled",
    }  # fmt: skip


def test_complaint_33_busy_is_told_as_busy(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    call = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    bob.client.reject(call.invite_id, reason="busy", text="in another call").result(5)
    rejected = alice.heard.wait("invitee_rejected")
    assert (rejected.reason, rejected.text) == ("busy", "in another call")


def test_complaint_34_a_call_given_up_early_is_missed_all_the_same(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    bob.close()
    call = alice.client.invite(["bob"])
    call.result(5)
    ring.advance(2_000)
    alice.client.cancel(call.invite_id, reason="changed_mind").result(5)
    missed = ring.device("bob", since=bob.client.since).heard.wait("invitation_missed")
    assert (missed.part, missed.outcome) == ("cancelled", "cancelled")
