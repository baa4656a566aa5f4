"""Every refusal, over real clients: what is wrong is said with a code, a name and the field, and nothing is lost."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest

from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.requests import Accept, Cancel, Get, Invite, Modify, Reject, Sync, encode_request
from ringline.protocol.shapes import Request
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.raw import RawDevice, request_id
from tests.support.running import Ring, settings

INVITE = Invite(id=b"first---", dev="raw", iid="call", to=("bob", "carol"))


def _refusal(answer: Answer) -> Refusal:
    assert answer.err is not None, answer
    return answer.err


def _on(kind: type[Any], iid: str = "call", **more: Any) -> Request:
    return kind(id=request_id(), dev="raw", iid=iid, **more)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("user", "request_", "code", "name"),
    [
        ("bob", _on(Accept, "none"), 8010, "unknown_invitation"),
        ("bob", _on(Reject, "none"), 8010, "unknown_invitation"),
        ("alice", _on(Modify, "none", data=b""), 8010, "unknown_invitation"),
        ("alice", _on(Get, "none"), 8010, "unknown_invitation"),
        ("alice", _on(Accept), 8011, "not_permitted"),
        ("alice", _on(Reject), 8011, "not_permitted"),
        ("mallory", _on(Accept), 8011, "not_permitted"),
        ("mallory", _on(Reject), 8011, "not_permitted"),
        ("mallory", _on(Cancel), 8011, "not_permitted"),
        ("mallory", _on(Modify, data=b""), 8011, "not_permitted"),
        ("mallory", _on(Get), 8011, "not_permitted"),
        ("bob", _on(Cancel), 8011, "not_permitted"),
        ("bob", _on(Modify, data=b""), 8011, "not_permitted"),
        ("alice", _on(Invite, to=("bob",)), 8012, "already_exists"),
        ("mallory", _on(Invite, to=("bob",)), 8012, "already_exists"),
        ("bob", _on(Invite, to=("carol",)), 8012, "already_exists"),
        ("alice", _on(Invite, "new", to=()), 6017, "bad_parameter"),
        ("alice", _on(Invite, "new", to=("alice",)), 6017, "bad_parameter"),
        ("alice", _on(Invite, "new", to=("bob",), audience="everyone"), 6017, "bad_parameter"),
        ("alice", _on(Cancel, to=("mallory",)), 6017, "bad_parameter"),
        ("alice", Sync(id=b"sync----", dev="raw", next=b"nonsense"), 6017, "bad_parameter"),
    ],
    ids=lambda value: value.op if isinstance(value, Request) else str(value),
)
def test_refused_with_a_code_and_without_effect(
    ring: Ring, user: str, request_: Request, code: int, name: str
) -> None:
    bob = ring.device("bob")
    with RawDevice(ring.port, "alice") as alice, RawDevice(ring.port, user, "asks") as asking:
        alice.send(encode_request(INVITE))
        bob.heard.wait("receive_new_invitation", invite_id="call")
        refusal = _refusal(asking.ask(encode_request(replace(request_, dev="asks"))))
        assert (refusal.code, refusal.name, bool(refusal.text)) == (code, name, True)
        assert (refusal.state is not None) == (user != "mallory" and code in (8011, 8012))
        state = alice.ask(encode_request(_on(Get))).state
        assert state is not None
        assert (state.to, state.end) == ({"bob": "pending", "carol": "pending"}, None)
    assert bob.heard.names() == ["receive_new_invitation"]


@pytest.mark.parametrize(
    ("payload", "code", "field"),
    [
        ({"op": "invite", "iid": "x", "to": ["bob"], "timeout": -1}, 6017, "timeout"),
        ({"op": "invite", "iid": "x", "to": ["bob"], "timeout": 86_401}, 6017, "timeout"),
        ({"op": "invite", "iid": "x", "to": "bob"}, 6017, "to"),
        ({"op": "invite", "to": ["bob"]}, 6017, "iid"),
        ({"op": "invite", "iid": "a/b", "to": ["bob"]}, 6017, "iid"),
        ({"op": "invite", "iid": "x", "to": ["bo+b"]}, 6017, "to"),
        ({"op": "invite", "iid": "x", "to": ["bob"], "data": "text"}, 6017, "data"),
        ({"op": "invite", "iid": "x", "to": ["bob"], "data": bytes(8_193)}, 6017, "data"),
        ({"op": "invite", "iid": "x", "to": ["bob"], "more": [[[[[[[[[[1]]]]]]]]]]}, 6017, "more"),
        ({"op": "reject", "iid": "x", "text": "t" * 257}, 6017, "text"),
        ({"op": "explode", "iid": "x"}, 6017, "op"),
        ({"iid": "x"}, 6017, "op"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_with_its_field(
    ring: Ring, payload: dict[str, Any], code: int, field: str
) -> None:
    with RawDevice(ring.port, "alice") as alice:
        raw = msgpack.packb(payload | {"id": b"12345678", "dev": "raw"})
        answer = alice.ask(raw)
        refusal = _refusal(answer)
        assert (answer.re, refusal.code, refusal.field) == (b"12345678", code, field)


def test_too_much_is_refused(store_url: str) -> None:
    config = settings(max_invitees=2, max_record_bytes=10_000)
    with Ring(store_url, ManualClock(), config) as ring, RawDevice(ring.port, "alice") as alice:
        many = _refusal(alice.ask(encode_request(_on(Invite, to=("b", "c", "d")))))
        assert (many.code, many.name, many.field) == (7008, "too_many_requests", "to")
        alice.send(encode_request(_on(Invite, to=("bob",), data=bytes(6_000))))
        assert alice.events.get(timeout=BOUND_S).ev == "invited"
        with RawDevice(ring.port, "bob") as bob:
            large = _refusal(bob.ask(encode_request(_on(Accept, data=bytes(6_000)))))
            assert (large.code, large.name, large.field) == (8001, "too_large", "data")
            bob.send(encode_request(_on(Accept)))
            assert alice.events.get(timeout=BOUND_S).ev == "accepted"


def test_another_device_is_told_which_one_answered(ring: Ring) -> None:
    with RawDevice(ring.port, "alice") as alice, RawDevice(ring.port, "bob", "phone") as phone:
        alice.send(encode_request(INVITE))
        assert phone.events.get(timeout=BOUND_S).ev == "invited"
        phone.send(encode_request(Accept(id=b"accepts-", dev="phone", iid="call")))
        assert phone.events.get(timeout=BOUND_S).ev == "accepted"
        with RawDevice(ring.port, "bob", "tablet") as tablet:
            for kind in (Accept, Reject):
                refusal = _refusal(tablet.ask(encode_request(kind(id=request_id(), dev="tablet", iid="call"))))
                assert (refusal.code, refusal.name) == (8010, "invitation_over")
                assert refusal.state is not None
                assert (refusal.state.dev, refusal.state.to) == ("phone", {"bob": "accepted"})
        repeated = phone.ask(encode_request(Accept(id=b"accepts-", dev="phone", iid="call")))
        assert (repeated.err, repeated.n) == (None, 2)


def test_a_repeat_changes_nothing_and_tells_nobody_else(ring: Ring) -> None:
    bob = ring.device("bob")
    with RawDevice(ring.port, "alice") as alice:
        alice.send(encode_request(INVITE))
        bob.heard.wait("receive_new_invitation")
        assert alice.events.get(timeout=BOUND_S).ev == "invited"
        before = ring.server.counts()
        for repeat in (INVITE, replace(INVITE, id=b"another-"), INVITE):
            assert alice.ask(encode_request(repeat)).err is None
        after = ring.server.counts()
        assert after["repeats"] - before["repeats"] == 3
        assert after["commits"] == before["commits"]
        assert after["messages"] - before["messages"] == 3  # the three answers
    assert bob.heard.names() == ["receive_new_invitation"]
