"""Devices that are away while something happens hear the right thing when they are back, and never a stale ring."""

import time
from collections.abc import Callable, Iterator

import pytest

from ringline.errors import SignalingError
from ringline.invitations import FIRST
from ringline.protocol.errors import UNKNOWN_INVITATION
from ringline.protocol.limits import MAX_TIMEOUT_S
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.proxy import Proxy
from tests.support.running import Device, Ring

YEAR_MS = 365 * 24 * 3600 * 1000
RING = "receive_new_invitation"
CREATED, MISSED, ENDED = "invitation_created", "invitation_missed", "invitation_ended"

pytestmark = pytest.mark.usefixtures("quick")


class Away:
    """A device that leaves and comes back, either with its connection cut or closed and started anew."""

    def __init__(self, ring: Ring, proxy: Proxy, how: str, user: str, name: str) -> None:
        self._ring = ring
        self._proxy = proxy
        self._how = how
        self._first = ring.device(user, name, url=proxy.url)
        self._before = 0
        self.device: Device = self._first

    @property
    def keeps_what_it_knows(self) -> bool:
        return self._how == "cut"

    def leave(self) -> None:
        self._before = len(self._first.heard.names())
        if self._how == "cut":
            self._proxy.close_door()
            self._first.heard.wait("disconnected")
        else:
            self._first.close()

    def come_back(self) -> list[str]:
        """Come back; what it hears then, until it is up to date."""
        if self._how == "cut":
            self._proxy.open_door()
            self._first.heard.wait("connected", count=2)
            return self._first.heard.names()[self._before :]
        since = self._first.client.since
        assert since is not None
        self.device = self._ring.device(self._first.user, self._first.name, url=self._proxy.url, since=since)
        self.device.heard.wait("connected")
        return self.device.heard.names()


@pytest.fixture
def proxy(ring: Ring) -> Iterator[Proxy]:
    with Proxy(ring.port) as proxy:
        yield proxy


@pytest.fixture(params=["cut", "closed"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class House:
    """Alice calls bob and carol; bob has a phone that stays."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.alice = ring.device("alice", "desk")
        self.phone = ring.device("bob", "phone")
        self.carol = ring.device("carol", "carols")

    def call(self, what: str) -> str:
        invitees = ["bob", "carol"] if what == "taken" else ["bob"]
        handle = self.alice.client.invite(invitees, "hello", timeout=30, answers=FIRST if what == "taken" else None)
        handle.result(BOUND_S)
        self.phone.heard.wait(RING, invite_id=handle.invite_id)
        return handle.invite_id

    def do(self, what: str, iid: str) -> None:
        """Let it happen, until it is heard on the phone."""
        match what:
            case "accepted":
                self.phone.client.accept(iid, "yes").result(BOUND_S)
            case "rejected":
                self.phone.client.reject(iid, reason="busy").result(BOUND_S)
            case "cancelled":
                self.alice.client.cancel(iid, reason="changed_mind").result(BOUND_S)
            case "timed_out":
                self.ring.advance(30_000)
            case "taken":
                self.carol.client.accept(iid).result(BOUND_S)
            case _:
                self.alice.client.modify(iid, "new").result(BOUND_S)
        self.phone.heard.wait(HEARD_AS[what], invite_id=iid)
        if what != "modified":
            self.phone.heard.wait(ENDED, invite_id=iid)

    def wait_until_forgotten(self, iid: str) -> None:
        """Until the server knows no such invitation: it forgets soon after the time is over, not in that moment."""
        until = time.monotonic() + BOUND_S
        while time.monotonic() < until:
            try:
                self.alice.client.state(iid, BOUND_S)
            except SignalingError as refused:
                if refused.code == UNKNOWN_INVITATION.code:
                    return
                raise
        pytest.fail(f"{iid} is still known")


HEARD_AS = {
    "accepted": "invitee_accepted",
    "rejected": "invitee_rejected",
    "cancelled": "invitation_cancelled",
    "timed_out": "invitation_timeout",
    "taken": "invitation_taken",
    "modified": "invitation_modified",
}
OUTCOME = {"taken": "accepted"}
ENDINGS = [what for what in HEARD_AS if what != "modified"]


@pytest.mark.parametrize("what", ENDINGS)
def test_what_began_and_ended_without_an_invitees_device_is_missed_there(
    ring: Ring, proxy: Proxy, how: str, what: str
) -> None:
    house = House(ring)
    tablet = Away(ring, proxy, how, "bob", "tablet")
    tablet.leave()
    iid = house.call(what)
    house.do(what, iid)
    ring.advance(600_000)
    assert tablet.come_back() == [MISSED]
    missed = tablet.device.heard.wait(MISSED)
    assert (missed.invite_id, missed.inviter, missed.data, missed.part) == (iid, "alice", "hello", what)
    assert missed.outcome == OUTCOME.get(what, what)
    assert missed.device == ("phone" if what in ("accepted", "rejected") else None)
    assert missed.answered_elsewhere == (what in ("accepted", "rejected"))


@pytest.mark.parametrize("what", ENDINGS)
def test_what_ended_while_an_invitees_device_was_away_stops_ringing_there(
    ring: Ring, proxy: Proxy, how: str, what: str
) -> None:
    house = House(ring)
    tablet = Away(ring, proxy, how, "bob", "tablet")
    iid = house.call(what)
    tablet.device.heard.wait(RING, invite_id=iid)
    tablet.leave()
    house.do(what, iid)
    heard = tablet.come_back()
    if tablet.keeps_what_it_knows:
        assert heard == [HEARD_AS[what], ENDED]
        assert tablet.device.heard.wait(ENDED).outcome == OUTCOME.get(what, what)
    else:  # a new run never rang
        assert heard == [MISSED]
        assert tablet.device.heard.wait(MISSED).part == what


def test_what_the_server_has_forgotten_meanwhile_stops_ringing_as_gone(ring: Ring, proxy: Proxy) -> None:
    house = House(ring)
    tablet = Away(ring, proxy, "cut", "bob", "tablet")
    iid = house.call("cancelled")
    tablet.device.heard.wait(RING, invite_id=iid)
    tablet.leave()
    house.do("cancelled", iid)
    ring.advance(3_700_000)  # an hour is how long it remembers
    house.wait_until_forgotten(iid)
    assert tablet.come_back() == [ENDED]
    assert tablet.device.heard.wait(ENDED).outcome == "gone"


@pytest.mark.parametrize("rang_before", [True, False])
def test_what_was_modified_while_an_invitees_device_was_away_rings_there_with_the_time_left(
    ring: Ring, proxy: Proxy, how: str, *, rang_before: bool
) -> None:
    house = House(ring)
    tablet = Away(ring, proxy, how, "bob", "tablet")
    if not rang_before:
        tablet.leave()
    iid = house.call("modified")
    if rang_before:
        tablet.device.heard.wait(RING, invite_id=iid)
        tablet.leave()
    house.do("modified", iid)
    ring.advance(12_000)
    heard = tablet.come_back()
    if rang_before and tablet.keeps_what_it_knows:
        assert heard == ["invitation_modified"]
    else:
        assert heard == [RING, "invitation_modified"]
        assert tablet.device.heard.wait(RING).time_left == 18.0
    assert tablet.device.heard.wait("invitation_modified").data == "new"
    tablet.device.client.accept(iid).result(BOUND_S)
    assert house.alice.heard.wait("invitee_accepted").device == "tablet"


@pytest.mark.parametrize("what", HEARD_AS)
@pytest.mark.parametrize("made_before", [True, False])
def test_what_became_of_a_call_is_heard_on_an_inviters_device_that_was_away(
    ring: Ring, proxy: Proxy, how: str, what: str, *, made_before: bool
) -> None:
    house = House(ring)
    laptop = Away(ring, proxy, how, "alice", "laptop")
    if not made_before:
        laptop.leave()
    iid = house.call(what)
    if made_before:
        laptop.device.heard.wait(CREATED, invite_id=iid)
        laptop.leave()
    house.do(what, iid)
    heard = laptop.come_back()
    expected = [HEARD_AS["accepted" if what == "taken" else what]]
    expected += ["invitation_taken"] if what == "taken" else []
    expected += [ENDED] if what != "modified" else []
    if not (made_before and laptop.keeps_what_it_knows):
        expected = [CREATED, *expected]
    assert heard == expected


@pytest.mark.parametrize("what", ["accepted", "rejected", "timed_out"])
def test_the_inviters_only_device_hears_the_answer_when_it_is_back(
    ring: Ring, proxy: Proxy, how: str, what: str
) -> None:
    phone = ring.device("bob", "phone")
    alice = Away(ring, proxy, how, "alice", "laptop")
    call = alice.device.client.invite(["bob"], timeout=30)
    call.result(BOUND_S)
    phone.heard.wait(RING)
    alice.device.heard.wait(CREATED)
    alice.leave()
    if what == "accepted":
        phone.client.accept(call.invite_id, "yes").result(BOUND_S)
    elif what == "rejected":
        phone.client.reject(call.invite_id).result(BOUND_S)
    else:
        ring.advance(30_000)
    phone.heard.wait(ENDED)
    heard = alice.come_back()
    assert heard == ([] if alice.keeps_what_it_knows else [CREATED]) + [HEARD_AS[what], ENDED]
    if what == "accepted":
        assert alice.device.heard.wait("invitee_accepted").data == "yes"


def test_a_request_made_while_away_is_brought_when_back(ring: Ring, proxy: Proxy) -> None:
    phone = ring.device("bob", "phone")
    alice = ring.device("alice", "laptop", url=proxy.url)
    proxy.close_door()
    alice.heard.wait("disconnected")
    call = alice.client.invite(["bob"], timeout=30)
    assert not call.done
    proxy.open_door()
    call.result(BOUND_S)
    assert phone.heard.wait(RING, invite_id=call.invite_id).time_left == 30.0


@pytest.mark.parametrize(("theirs", "mine"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("what", ["accepted", "cancelled", "timed_out"])
def test_a_call_back_made_while_away_does_not_cross_the_call_that_is_over(
    ring: Ring, proxy: Proxy, what: str, theirs: str, mine: str
) -> None:
    """The device believes that the call still rings, until its sync tells; its own invite is on the way before."""
    house = House(ring)
    tablet = ring.device("bob", "tablet", url=proxy.url)
    house.alice.client.invite(["bob"], timeout=30, invite_id=theirs)
    for device in (house.phone, tablet):
        device.heard.wait(RING)
    proxy.close_door()
    tablet.heard.wait("disconnected")
    house.do(what, theirs)
    ring.advance(1)  # what is made in the millisecond in which the other ends crosses it
    back = tablet.client.invite(["alice"], timeout=30, invite_id=mine)
    proxy.open_door()
    back.result(BOUND_S)
    tablet.heard.wait("connected", count=2)
    assert not house.alice.heard.wait(RING, invite_id=mine).crossing
    house.alice.client.accept(mine).result(BOUND_S)
    assert tablet.heard.wait("invitee_accepted", invite_id=mine).device == "desk"
    assert tablet.heard.names(mine) == [CREATED, "invitee_accepted", ENDED]
    assert tablet.heard.names(theirs) == [RING, HEARD_AS[what], ENDED]


def test_an_answer_given_while_away_and_too_late_is_refused_when_back(ring: Ring, proxy: Proxy) -> None:
    alice = ring.device("alice", "desk")
    phone = ring.device("bob", "phone", url=proxy.url)
    call = alice.client.invite(["bob"], timeout=30)
    phone.heard.wait(RING)
    proxy.close_door()
    phone.heard.wait("disconnected")
    accept = phone.client.accept(call.invite_id)
    ring.advance(30_000)
    alice.heard.wait(ENDED)
    proxy.open_door()
    with pytest.raises(Exception, match="8010 invitation_over"):
        accept.result(BOUND_S)
    phone.heard.wait(ENDED)
    assert phone.heard.names() == [RING, "invitation_timeout", ENDED]
    assert alice.heard.names() == [CREATED, "invitation_timeout", ENDED]


@pytest.mark.parametrize(("timeout", "gone_ms", "left"), [(30, 10_000, 20.0), (30, 29_999, 0.001), (0, 10_000, None)])
def test_a_device_that_boots_while_it_rings_hears_the_ring_with_the_time_left(
    ring: Ring, timeout: int, gone_ms: int, left: float | None
) -> None:
    house = House(ring)
    call = house.alice.client.invite(["bob"], timeout=timeout)
    house.phone.heard.wait(RING)
    ring.advance(gone_ms)
    booted = ring.device("bob", "booted")
    assert booted.heard.wait(RING, invite_id=call.invite_id).time_left == left
    assert booted.heard.names() == [RING]
    booted.client.accept(call.invite_id).result(BOUND_S)
    assert house.alice.heard.wait("invitee_accepted").device == "booted"


def test_a_device_that_boots_after_the_deadline_hears_no_ring(ring: Ring) -> None:
    house = House(ring)
    iid = house.call("timed_out")
    house.do("timed_out", iid)
    assert _heard_at_first(ring.device("bob", "new")) == []
    assert _heard_at_first(ring.device("bob", "known", since=house.alice.client.since)) == [MISSED]
    assert _heard_at_first(ring.device("alice", "new")) == []


@pytest.mark.parametrize("off_ms", [YEAR_MS, -YEAR_MS])
def test_the_servers_clock_may_be_set_by_a_year_while_it_rings(ring: Ring, off_ms: int) -> None:
    clock = _clock_of(ring)
    house = House(ring)
    iid = house.call("timed_out")
    ring.advance(10_000)
    clock.set_wall(clock.wall_ms() + off_ms)
    booted = ring.device("bob", "booted")
    assert booted.heard.wait(RING).time_left == 20.0
    ring.advance(19_999)
    assert house.alice.client.state(iid).outcome is None
    ring.advance(1)
    for device in (house.alice, house.phone, booted):
        assert device.heard.wait(ENDED).outcome == "timed_out"
    assert _heard_at_first(ring.device("bob", "late", since=house.alice.client.since)) == [MISSED]


@pytest.mark.parametrize("ring", ["amqtt-sqlite"], indirect=True)
def test_the_servers_clock_may_be_set_back_by_a_year_while_it_is_down(ring: Ring) -> None:
    clock = _clock_of(ring)
    house = House(ring)
    over = house.call("cancelled")
    house.do("cancelled", over)
    since = house.alice.client.since
    open_one = house.call("timed_out")
    _restart(ring, house, lambda: clock.set_wall(clock.wall_ms() - YEAR_MS))
    late = ring.device("bob", "late", since=since)
    late.heard.wait("connected")
    assert late.heard.names(over) == [MISSED]
    assert late.heard.wait(RING, invite_id=open_one).time_left == 30.0
    ring.advance(30_000)
    for device in (house.alice, house.phone, late):
        assert device.heard.wait(ENDED, invite_id=open_one).outcome == "timed_out"
    again = house.call("accepted")
    house.do("accepted", again)
    house.alice.heard.wait(ENDED, invite_id=again)


@pytest.mark.parametrize("ring", ["amqtt-sqlite"], indirect=True)
def test_a_deadline_far_away_is_kept_over_a_restart_and_not_made_longer(ring: Ring) -> None:
    clock = _clock_of(ring)
    house = House(ring)
    call = house.alice.client.invite(["bob"], timeout=MAX_TIMEOUT_S)
    house.phone.heard.wait(RING)
    _restart(ring, house, lambda: clock.advance(1_000_000))
    booted = ring.device("bob", "booted")
    assert booted.heard.wait(RING).time_left == MAX_TIMEOUT_S - 1_000
    ring.advance(MAX_TIMEOUT_S * 1000 - 1_000_000)
    assert house.alice.heard.wait(ENDED, invite_id=call.invite_id).outcome == "timed_out"


def _heard_at_first(device: Device) -> list[str]:
    """What a device hears until it is up to date."""
    device.heard.wait("connected")
    return device.heard.names()


def _clock_of(ring: Ring) -> ManualClock:
    assert isinstance(ring.clock, ManualClock)
    return ring.clock


def _restart(ring: Ring, house: House, meanwhile: Callable[[], None]) -> None:
    devices = (house.alice, house.phone, house.carol)
    ring.stop()
    for device in devices:
        device.heard.wait("disconnected")
    meanwhile()
    ring.start()
    for device in devices:
        device.heard.wait("connected", count=2)
