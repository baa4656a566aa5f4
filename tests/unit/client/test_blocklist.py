"""The blocklist: what a device asks for, and what both sides hear of a call that does not get through."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ringline import Blocklist, SignalingError
from ringline.blocklist import BlocklistPage
from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.blocklist_requests import Block, ListBlocked, Unblock
from ringline.protocol.errors import TOO_MANY_REQUESTS
from ringline.protocol.events import Accepted, Event, Invited, Rejected
from ringline.protocol.limits import MAX_INVITEES
from tests.unit.client.group_play import GID, answer_group, answer_sync, member, state
from tests.unit.client.wire import Wire, told_at_once
from tests.unit.client.world import Device, World
from tests.unit.engine.play import IID, accept, invite

BUSY = ["invitation_created", "invitee_rejected", "invitation_ended"]


@pytest.fixture
def client() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


# Requests.


def test_adding_and_removing_and_asking_keep_their_order_and_others_go_on(client: Wire) -> None:
    client.blocklist.add(["bob", "cid", "bob"])
    client.blocklist.remove(["bob"])
    client.blocklist.list(b"cursor")
    client.accept("i")
    add, other = client.sent()
    assert isinstance(add, Block)
    assert (add.dev, add.users, other.op) == ("d1", ("bob", "cid"), "accept")
    client.answer(Answer(re=add.id))
    [remove] = client.sent()
    assert isinstance(remove, Unblock)
    assert remove.users == ("bob",)
    client.answer(Answer(re=remove.id))
    [asked] = client.sent()
    assert isinstance(asked, ListBlocked)
    assert asked.next == b"cursor"


def test_adding_and_removing_are_simply_done(client: Wire) -> None:
    for ask in (client.blocklist.add, client.blocklist.remove):
        handle = ask(["bob"])
        [request] = client.sent()
        client.answer(Answer(re=request.id))
        client.settle()
        assert handle.done
        assert handle.result() is None
        assert (handle.invite_id, handle.group_id) == ("", "")


@pytest.mark.parametrize(("users", "place"), [((), b""), (("bob", "cid"), b"cid")])
def test_a_page(client: Wire, users: tuple[str, ...], place: bytes) -> None:
    handle = client.blocklist.list()
    [request] = client.sent()
    client.answer(Answer(re=request.id, users=users, more=bool(place), next=place))
    client.settle()
    assert handle.result() == BlocklistPage(users=users, next=place)


def test_a_list_that_is_full_is_a_refusal(client: Wire) -> None:
    handle = client.blocklist.add(["bob"])
    [request] = client.sent()
    full = Refusal(code=TOO_MANY_REQUESTS.code, name=TOO_MANY_REQUESTS.name, text="the blocklist is full")
    client.answer(Answer(re=request.id, err=full))
    client.settle()
    with pytest.raises(SignalingError) as raised:
        handle.result()
    assert (raised.value.code, raised.value.retry_after) == (7008, None)


WRONG: list[tuple[str, Callable[[Any], object], type[Exception], str]] = [
    ("nobody", lambda b: b.add([]), ValueError, "users must name at least one user"),
    ("nobody to remove", lambda b: b.remove(()), ValueError, "users must name at least one user"),
    ("oneself", lambda b: b.add(["bob", "ann"]), ValueError, "users must not name oneself"),
    ("one string", lambda b: b.add("bob"), TypeError, "users must be a list of user ids, not one string"),
    ("nothing", lambda b: b.remove(None), TypeError, "users must be a list of user ids, not NoneType"),
    ("a number", lambda b: b.add([5]), TypeError, "users must be a string, not int"),
    ("a topic", lambda b: b.remove(["a/b"]), ValueError, "users must not contain"),
    ("too many", lambda b: b.add([f"u{i}" for i in range(MAX_INVITEES + 1)]), ValueError, "at most 300 users"),
    ("too large", lambda b: b.add([f"{i:064}" for i in range(MAX_INVITEES)]), ValueError, "at most 16384 bytes"),
    ("next", lambda b: b.list("x"), TypeError, "next must be bytes, not str"),
    ("a long next", lambda b: b.list(bytes(257)), ValueError, "next must have at most 256 bytes, has 257"),
]


@pytest.mark.parametrize(("call", "kind", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG])
def test_who_asks_wrongly_is_told_at_once(
    client: Wire, call: Callable[[Blocklist], object], kind: type[Exception], words: str
) -> None:
    told_at_once(client, lambda: call(client.blocklist), kind, words)


def test_a_closed_client_takes_no_more() -> None:
    client = Wire()
    client.close()
    with pytest.raises(SignalingError):
        client.blocklist.list()


# What is heard, with the real engine: bob does not let ann ring.


def _blocking() -> tuple[World, Device, Device]:
    world = World()
    world.server.blocked.add(("bob", "ann"))
    return world, world.device("ann"), world.device("bob")


def test_the_line_is_busy_and_nothing_arrives() -> None:
    world, ann, bob = _blocking()
    asked = ann.request(invite("bob"))
    world.run()
    assert ann.error(asked) is None
    assert ann.names() == BUSY
    rejected = ann.heard[-2][1]
    assert (rejected.invitee, rejected.device, rejected.reason, rejected.this_device) == (
        "bob", "a mask", "busy", False
    )  # fmt: skip
    assert ann.heard[-1][1].outcome == "rejected"
    bob.lose()
    bob.connect()
    world.device("bob", "d2", since=0)
    world.wait(700)
    assert {event for device in world.devices if device.user == "bob" for event in device.names()} == set()


def test_others_who_are_invited_ring() -> None:
    world, ann, bob = _blocking()
    cid = world.device("cid")
    ann.request(invite("bob", "cid"))
    world.run()
    cid.request(accept())
    world.run()
    assert cid.names() == ["receive_new_invitation", "invitee_accepted", "invitation_ended"]
    assert ann.names() == ["invitation_created", "invitee_rejected", "invitee_accepted", "invitation_ended"]
    assert bob.names() == []


def test_it_is_one_way() -> None:
    world, ann, bob = _blocking()
    bob.request(invite("ann"))
    world.run()
    assert ann.names() == ["receive_new_invitation"]


@pytest.mark.parametrize("others", [(), ("cid",)])
@pytest.mark.parametrize("iid", ["call-a", "call-z"])
def test_who_blocks_another_and_rings_them_at_the_same_moment_gets_through(iid: str, others: tuple[str, ...]) -> None:
    """Ann's own call, which seems to stand where its id is the lower one, never was to ring at bob's."""
    world, ann, bob = _blocking()
    bob.request(invite("ann", iid="call-m"))
    ann.request(invite("bob", *others, iid=iid))
    [asked] = ann.outgoing
    ann.outgoing.clear()
    world.run()  # bob's arrives while ann's has no answer
    assert ann.names("call-m") == ([] if iid < "call-m" else ["receive_new_invitation"])
    ann.outgoing = [asked, *ann.outgoing]
    world.run()
    assert ann.names("call-m") == ["receive_new_invitation"]
    assert [event.crossing for name, event in ann.heard if name == "receive_new_invitation"] == [iid > "call-m"]
    assert world.server.invitation("call-m").end is None


def _in_group(*events: Event, live: bool) -> Device:
    """What zoe's call of ann, who does not let zoe ring, and of bob is to ann's device."""
    if live:
        ann = member()
        ann.hear_in(GID, *events)
        return ann
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    answer_group(ann, *events, group=state(10))
    return ann


@pytest.mark.parametrize("live", [True, False])
def test_in_a_group_their_own_devices_do_not_ring_and_hear_what_becomes_of_it(live: bool) -> None:
    call = Invited(iid=IID, n=1, by="zoe", dev="z1", to=("ann", "bob"), ttl=30_000, gid=GID)
    busy = Rejected(iid=IID, n=2, p=1, by="ann", dev="a mask", reason="busy")
    ann = _in_group(call, busy, live=live)
    assert ann.names(IID) == ["invitation_missed"]
    told = next(event for name, event in ann.heard if name == "invitation_missed")
    assert (told.part, told.device, told.this_device, told.outcome) == ("rejected", "a mask", False, None)
    ann.hear_in(GID, Accepted(iid=IID, n=3, p=2, by="bob", dev="b1", end="accepted"))
    assert ann.names(IID) == ["invitation_missed", "invitee_accepted", "invitation_ended"]
