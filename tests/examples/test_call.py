"""The call: every device is a real client of a real server."""

import queue
import socket
import threading

import pytest

from examples.call import Phone, State
from ringline import NONE, SignalingClient, SignalingError, SignalingListener
from ringline.events import Disconnected, InviteeAccepted, NewInvitation
from tests.examples.cast import Cast
from tests.support.bound import BOUND_S


class Hears(SignalingListener):
    """Notes what comes; added before a phone, it can keep an acceptance from it for a while."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self._came: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._gate = gate

    def wait(self) -> object:
        """The next that came."""
        return self._came.get(timeout=BOUND_S)

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        self._came.put(event)

    def on_disconnected(self, event: Disconnected) -> None:
        self._came.put(event)

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        self._came.put(event)
        if self._gate is not None:
            assert self._gate.wait(BOUND_S)


def dial_aside(phone: Phone, callee: str, room: str, timeout: int = 30) -> threading.Thread:
    """Dial on a thread of its own, since the server cannot be reached yet."""
    dialling = threading.Thread(target=phone.dial, args=(callee, room, timeout))
    dialling.start()
    return dialling


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_both_enter_the_room_and_whoever_hangs_up_sends_the_length(cast: Cast, who: str) -> None:
    phones = {user: cast.phone(user) for user in ("alice", "bob")}
    other = "bob" if who == "alice" else "alice"
    cast.in_call(phones["alice"], phones["bob"], ("alice", "bob"), "r-1")
    assert {phone.state for phone in phones.values()} == {State.IN_CALL}
    cast.now += 42
    handle = phones[who].hang_up()
    assert handle is not None
    handle.result(BOUND_S)
    cast.expect(who, "hangs up after 42 s")
    cast.expect(other, f"hears that {who} hung up after 42 s")
    assert {phone.state for phone in phones.values()} == {State.IDLE}


def test_the_record_is_a_notice_with_the_length_and_the_room(cast: Cast) -> None:
    alice, bob = cast.phone("alice"), cast.phone("bob")
    tablet, hears = cast.client("bob"), Hears()
    cast.in_call(alice, bob, ("alice", "bob"), "r-1")
    tablet.add_listener(hears)
    cast.connect(tablet)
    cast.now += 7
    alice.hang_up()
    notice = hears.wait()
    assert isinstance(notice, NewInvitation)
    assert (notice.inviter, notice.notice, notice.data) == ("alice", True, {"call_end": 7, "room": "r-1"})
    cast.expect("alice", "hangs up after 7 s")
    cast.expect("bob", "hears that alice hung up after 7 s")


def test_when_one_device_answers_the_others_stop_ringing(cast: Cast) -> None:
    alice, phone, tablet = cast.phone("alice"), cast.phone("bob", "phone"), cast.phone("bob", "tablet")
    alice.dial("bob", "r-1")
    cast.expect("phone", "rings: alice calls")
    cast.expect("tablet", "rings: alice calls")
    cast.expect("alice", "dials bob, room r-1", "hears it ring at bob's")
    tablet.accept()
    cast.expect("tablet", "enters room r-1 with alice")
    cast.expect("phone", "stops ringing: answered on another device")
    cast.expect("alice", "enters room r-1 with bob")
    assert phone.state is State.IDLE
    tablet.hang_up()
    cast.expect("tablet", "hangs up after 0 s")
    cast.expect("alice", "hears that bob hung up after 0 s")


def test_when_one_device_rejects_the_others_stop_ringing(cast: Cast) -> None:
    alice, phone = cast.phone("alice"), cast.phone("bob", "phone")
    cast.phone("bob", "tablet")
    alice.dial("bob", "r-1")
    cast.expect("phone", "rings: alice calls")
    cast.expect("tablet", "rings: alice calls")
    cast.expect("alice", "dials bob, room r-1", "hears it ring at bob's")
    phone.hang_up()
    cast.expect("phone", "stops ringing: rejected here")
    cast.expect("tablet", "stops ringing: rejected on another device")
    cast.expect("alice", "hears that bob rejected: declined")


def test_the_callers_other_devices_have_no_part_in_the_call(cast: Cast) -> None:
    alice, tablet, bob = cast.phone("alice"), cast.phone("alice", "tablet"), cast.phone("bob")
    cast.in_call(alice, bob, ("alice", "bob"), "r-1")
    assert tablet.state is State.IDLE
    bob.hang_up()
    cast.expect("bob", "hangs up after 0 s")
    cast.expect("alice", "hears that bob hung up after 0 s")


def test_a_phone_in_a_call_rejects_as_busy_and_stays_in_its_call(cast: Cast) -> None:
    alice, bob, carol = (cast.phone(user) for user in ("alice", "bob", "carol"))
    cast.in_call(alice, bob, ("alice", "bob"), "r-1")
    carol.dial("bob", "r-2")
    cast.expect("bob", "rejects a call of carol: busy")
    cast.expect("carol", "dials bob, room r-2", "hears that bob rejected: busy")
    assert bob.state is alice.state is State.IN_CALL
    assert carol.state is State.IDLE
    carol.dial("alice", "r-3")
    cast.expect("alice", "rejects a call of carol: busy")
    cast.expect("carol", "dials alice, room r-3", "hears that alice rejected: busy")


@pytest.mark.parametrize("taken", ["alice", "bob"])
def test_a_phone_that_dials_or_rings_is_busy_too(cast: Cast, taken: str) -> None:
    alice = cast.phone("alice")
    cast.phone("bob")
    carol = cast.phone("carol")
    alice.dial("bob", "r-1")
    cast.expect("alice", "dials bob, room r-1", "hears it ring at bob's")
    cast.expect("bob", "rings: alice calls")
    carol.dial(taken, "r-2")
    cast.expect(taken, "rejects a call of carol: busy")
    cast.expect("carol", f"dials {taken}, room r-2", f"hears that {taken} rejected: busy")
    assert alice.state is State.DIALLING
    alice.hang_up()
    cast.expect("alice", "gives up")
    cast.expect("bob", "stops ringing: alice gave up")


def test_nobody_answers(cast: Cast) -> None:
    alice = cast.phone("alice")
    bob = cast.phone("bob")
    alice.dial("bob", "r-1", timeout=1)
    cast.expect("bob", "rings: alice calls", "stops ringing: missed a call of alice")
    cast.expect("alice", "dials bob, room r-1", "hears it ring at bob's", "hears that bob did not answer")
    assert alice.state is bob.state is State.IDLE


def test_a_phone_that_comes_online_while_it_rings_rings_too(cast: Cast) -> None:
    alice = cast.phone("alice")
    alice.dial("bob", "r-1")
    cast.expect("alice", "dials bob, room r-1", "bob is not online just now")
    bob = cast.phone("bob")
    cast.expect("bob", "rings: alice calls")
    cast.expect("alice", "hears it ring at bob's")
    bob.accept()
    cast.expect("bob", "enters room r-1 with alice")
    cast.expect("alice", "enters room r-1 with bob")


def test_a_phone_that_comes_online_too_late_shows_a_missed_call(cast: Cast) -> None:
    alice, before = cast.phone("alice"), cast.client("bob")
    cast.connect(before)
    before.close()
    alice.dial("bob", "r-1")
    cast.expect("alice", "dials bob, room r-1", "bob is not online just now")
    alice.hang_up()
    cast.expect("alice", "gives up")
    client = cast.client("bob", since=before.since)
    cast.new_phone(client)
    cast.connect(client)
    cast.expect("bob", "missed a call of alice")


def test_giving_up_too_late_leaves_the_room_at_once(cast: Cast) -> None:
    """Bob has accepted, and Alice hangs up before she hears of it."""
    may_hear = threading.Event()
    hears = Hears(may_hear)
    client = cast.client("alice", hears)
    alice = cast.new_phone(client)
    cast.connect(client)
    bob = cast.phone("bob")
    alice.dial("bob", "r-1")
    cast.expect("alice", "dials bob, room r-1", "hears it ring at bob's")
    cast.expect("bob", "rings: alice calls")
    bob.accept()
    assert isinstance(hears.wait(), InviteeAccepted)
    assert alice.state is State.DIALLING
    refused = alice.hang_up()
    assert refused is not None
    with pytest.raises(SignalingError, match="8010"):
        refused.result(BOUND_S)
    may_hear.set()
    cast.expect("alice", "enters room r-1 with bob", "hangs up after 0 s")
    cast.expect("bob", "enters room r-1 with alice", "hears that alice hung up after 0 s")


@pytest.mark.parametrize("stands", ["alice", "bob"])
def test_when_both_dial_at_once_they_meet_in_one_room(
    cast: Cast, stands: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["id-1", "id-2"] if stands == "alice" else ["id-2", "id-1"])  # the lower one stands
    monkeypatch.setattr("ringline.client.secrets.token_urlsafe", lambda _size: next(ids))
    gives_way = "bob" if stands == "alice" else "alice"
    client = cast.client("alice")
    alice, bob = cast.new_phone(client), cast.phone("bob")
    dialling = dial_aside(alice, "bob", "room-of-alice")
    cast.expect("alice", "dials bob, room room-of-alice")
    bob.dial("alice", "room-of-bob")
    cast.expect("bob", "dials alice, room room-of-bob", "alice is not online just now")
    cast.connect(client)
    dialling.join(BOUND_S)
    cast.expect(gives_way, f"takes the call of {stands}, who dials too")
    cast.expect("alice", f"enters room room-of-{stands} with bob")
    cast.expect("bob", f"enters room room-of-{stands} with alice")


def test_an_invitation_that_gave_way_does_not_take_the_other_with_it(cast: Cast) -> None:
    client = cast.client("alice")
    alice = cast.new_phone(client)
    dialling = dial_aside(alice, "bob", "r-1")
    cast.expect("alice", "dials bob, room r-1")
    alice.on_receive_new_invitation(
        NewInvitation(
            invite_id="of-bob", inviter="bob", invitees=("alice",), data={"room": "r-2"}, time_left=30.0, crossing=True
        )
    )
    cast.expect("alice", "takes the call of bob, who dials too")
    client.close()  # which fails what dials
    dialling.join(BOUND_S)
    assert alice.state is State.RINGING


def test_an_invitation_without_a_room_neither_rings_nor_is_rejected(cast: Cast) -> None:
    client, other, hears = cast.client("bob"), cast.client("carol"), Hears()
    bob = cast.new_phone(client)
    client.add_listener(hears)  # after the phone
    cast.connect(client)
    cast.connect(other)
    handles = [other.invite(["bob"], data) for data in (None, "r-1", 1, {"door": "front"}, {"room": 7})]
    handles.append(other.invite(["bob", "dave"], {"room": "r-1"}))
    for _ in handles:
        assert isinstance(hears.wait(), NewInvitation)
    assert [other.state(handle.invite_id).invitees["bob"] for handle in handles] == ["pending"] * len(handles)
    assert bob.state is State.IDLE


@pytest.mark.parametrize(
    ("sender", "data"),
    [
        ("carol", {"call_end": 1, "room": "r-1"}),
        ("alice", {"call_end": 1, "room": "r-0"}),
        ("alice", {"call_end": "long", "room": "r-1"}),
        ("alice", ["call_end"]),
    ],
)
def test_a_record_that_is_not_of_this_call_does_not_end_it(cast: Cast, sender: str, data: object) -> None:
    alice, bob = cast.phone("alice"), cast.phone("bob")
    cast.in_call(alice, bob, ("alice", "bob"), "r-1")
    other = cast.client(sender)
    cast.connect(other)
    other.invite(["bob"], data, timeout=0, answers=NONE).result(BOUND_S)
    carol = cast.phone("carol", "carol's phone")
    carol.dial("bob", "r-2")  # comes after the record
    cast.expect("bob", "rejects a call of carol: busy")
    cast.expect("carol's phone", "dials bob, room r-2", "hears that bob rejected: busy")
    assert bob.state is State.IN_CALL


def test_a_record_that_came_while_disconnected_ends_the_call(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    may_return = threading.Event()
    alice, client, hears = cast.phone("alice"), cast.client("bob"), Hears()
    bob = cast.new_phone(client)
    cast.connect(client)
    cast.in_call(alice, bob, ("alice", "bob"), "r-1")
    client.add_listener(hears)
    cut(client, may_return, monkeypatch)
    assert isinstance(hears.wait(), Disconnected)
    handle = alice.hang_up()
    assert handle is not None
    handle.result(BOUND_S)
    cast.expect("alice", "hangs up after 0 s")
    assert bob.state is State.IN_CALL
    may_return.set()
    cast.expect("bob", "hears that alice hung up after 0 s")


def cut(client: SignalingClient, may_return: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a client's connection, and let it connect again no sooner than told."""
    network = client._network
    make = network._new_client

    def make_later() -> object:
        assert may_return.wait(BOUND_S)
        return make()

    monkeypatch.setattr(network, "_new_client", make_later)
    assert network._client is not None
    connection = network._client.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)


def test_a_call_that_the_server_never_heard_of_ends_as_well(cast: Cast) -> None:
    client = cast.client("alice", url="mqtt://127.0.0.1:1")
    alice = cast.new_phone(client)
    client.connect()
    alice.dial("bob", "r-1", timeout=1)
    cast.expect("alice", "dials bob, room r-1", "cannot call bob: not_connected")
    assert alice.state is State.IDLE


def test_a_call_given_up_before_it_was_sent_rings_nobody(cast: Cast) -> None:
    client = cast.client("alice")
    alice = cast.new_phone(client)
    cast.phone("bob")
    dialling = dial_aside(alice, "bob", "r-1")
    cast.expect("alice", "dials bob, room r-1")
    alice.hang_up()
    dialling.join(BOUND_S)
    cast.expect("alice", "gives up")
    cast.connect(client)
    assert alice.state is State.IDLE


def test_a_phone_has_one_call_at_a_time(cast: Cast) -> None:
    alice = cast.phone("alice")
    alice.dial("bob", "r-1")
    with pytest.raises(RuntimeError, match="dialling"):
        alice.dial("carol", "r-2")
    cast.expect("alice", "dials bob, room r-1", "bob is not online just now")


def test_buttons_of_an_idle_phone_do_nothing(cast: Cast) -> None:
    alice = cast.phone("alice")
    alice.accept()
    assert alice.hang_up() is None
