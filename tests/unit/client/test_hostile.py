"""Whatever a server sends, right or wrong, a device goes on: it drops what it cannot read, and says so."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.data import Undecodable
from ringline.protocol.answers import Answer
from ringline.protocol.codec import pack
from ringline.protocol.events import Accepted, Invited
from ringline.protocol.group_requests import JoinGroup
from ringline.protocol.limits import MAX_INT, MAX_MESSAGE_BYTES
from ringline.protocol.requests import Sync
from tests.unit.client.world import TOPICS, Device, new_id
from tests.unit.engine.play import IID, accept, cancel, get, invite


def _connected() -> Device:
    bob = Device("bob")
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    bob.heard.clear()
    return bob


def _invited(iid: str = IID, **fields: Any) -> Invited:
    return Invited(iid=iid, n=1, by="ann", dev="a1", to=("bob",), ttl=30_000, **fields)


def _still_works(bob: Device) -> None:
    bob.heard.clear()
    bob.hear(_invited("afterwards"))
    assert bob.names("afterwards") == ["receive_new_invitation"]


# Unreadable.


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x90\x90", pack({"ev": "x"}), pack(7), bytes(MAX_MESSAGE_BYTES + 1), b"\xdd\xff\xff\xff\xff"],
    ids=["empty", "no value", "two values", "a map", "a number", "too large", "a promise of four billion"],
)
def test_an_unreadable_message_is_dropped_and_logged(payload: bytes, caplog: pytest.LogCaptureFixture) -> None:
    bob = _connected()
    with caplog.at_level(logging.WARNING):
        bob.receive(TOPICS.events("bob"), payload)
        bob.receive(TOPICS.answers("bob", "d1"), payload)
    assert sum("unreadable message" in record.message for record in caplog.records) == 2
    assert bob.heard == []
    _still_works(bob)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {"iid": IID, "n": 1},
        {"ev": 1, "iid": IID},
        {"ev": "invited", "n": 1, "by": "ann", "to": ["bob"]},
        {"ev": "invited", "iid": "a/b", "n": 1, "by": "ann", "to": ["bob"]},
        {"ev": "invited", "iid": IID, "n": -1, "by": "ann", "to": ["bob"]},
        {"ev": "invited", "iid": IID, "n": True, "by": "ann", "to": ["bob"]},
        {"ev": "invited", "iid": IID, "n": 1, "by": "ann", "to": "bob"},
        {"ev": "new kind", "iid": IID, "n": 2**60},
    ],
    ids=str,
)
def test_an_unreadable_event_spoils_no_other(event: object, caplog: pytest.LogCaptureFixture) -> None:
    bob = _connected()
    good = {"ev": "invited", "iid": "good", "n": 1, "by": "ann", "to": ["bob"]}
    with caplog.at_level(logging.WARNING):
        bob.hear_raw([event, good])
    assert bob.names() == ["receive_new_invitation"]
    assert any("unreadable event" in record.message for record in caplog.records)


def test_a_message_on_another_topic_is_nothing_to_it() -> None:
    bob = _connected()
    for topic in (TOPICS.events("ann"), TOPICS.answers("bob", "d2"), "x", ""):
        bob.receive(topic, pack([{"ev": "invited", "iid": IID, "n": 1, "by": "ann", "to": ["bob"]}]))
    assert bob.heard == []


def test_data_that_is_no_message_pack_is_handed_on_as_it_came() -> None:
    bob = _connected()
    bob.hear(_invited(data=b"\xc1\x00"))
    assert bob.heard[0][1].data == Undecodable(b"\xc1\x00")


# Readable, and strange.


def test_an_answer_to_nothing_is_dropped() -> None:
    bob = _connected()
    bob.answer(Answer(re=b"12345678", n=3))
    bob.answer(Answer(re=b"12345678", events=({"ev": "invited"},)))
    assert (bob.heard, bob.settled) == ([], {})


def test_a_sync_s_answer_to_another_request_settles_it_and_tells_nothing() -> None:
    bob = _connected()
    asked = bob.request(accept())
    event = {"ev": "invited", "iid": "x", "n": 1, "by": "ann", "to": ["bob"]}
    bob.answer(Answer(re=asked, events=(event,), gone=("y",)))
    assert bob.error(asked) is None
    assert bob.heard == []


def test_an_empty_answer_to_a_sync_and_to_get() -> None:
    bob = _connected()
    asked = bob.request(get())
    bob.answer(Answer(re=asked))
    assert bob.error(asked) == "bad_parameter"
    bob.lose()
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    assert [name for name, _ in bob.heard] == ["connected"]


@pytest.mark.parametrize(
    ("n", "p"), [(MAX_INT, MAX_INT), (MAX_INT, 0), (5, 7), (2, 2), (MAX_INT, 1)], ids=str
)
def test_versions_out_of_this_world(n: int, p: int) -> None:
    bob = _connected()
    bob.hear(_invited())
    for _ in range(3):
        bob.hear(Accepted(iid=IID, n=n, p=p, by="bob", dev="d2"))
        bob.wait(3)
        if bob.outgoing:
            bob.answer(Answer(re=bob.take_sync().id))
    assert bob.names().count("invitee_accepted") <= 1
    _still_works(bob)


def test_an_invitation_this_user_has_no_part_in() -> None:
    bob = _connected()
    bob.hear(Invited(iid=IID, n=1, by="ann", dev="a1", to=("cid",), ttl=30_000))
    bob.hear(Invited(iid="nobody", n=1, to=(), ttl=30_000))
    assert "receive_new_invitation" not in bob.names()
    _still_works(bob)


def test_a_second_invited_of_the_same_invitation_does_not_ring_again() -> None:
    bob = _connected()
    bob.hear(_invited())
    bob.hear(Invited(iid=IID, n=2, p=1, by="mallory", dev="m1", to=("bob",), ttl=30_000))
    assert bob.names().count("receive_new_invitation") == 1


def test_a_second_end_is_not_heard() -> None:
    bob = _connected()
    bob.hear(_invited(), Accepted(iid=IID, n=2, p=1, by="x"))
    bob.hear_raw([{"ev": "ended", "iid": IID, "n": n, "p": n - 1, "end": "accepted"} for n in (3, 4)])
    bob.hear_raw([{"ev": "ended", "iid": IID, "n": 5, "p": 4, "end": "cancelled"}])
    assert bob.names().count("invitation_ended") == 1


def test_pages_that_never_end_are_asked_for_one_at_a_time() -> None:
    bob = Device("bob")
    bob.connect()
    for _ in range(50):
        bob.answer(Answer(re=bob.take_sync().id, more=True, next=b"again"))
    assert bob.heard == []
    bob.lose()
    bob.connect()
    bob.answer(Answer(re=bob.take_sync().id))
    assert [name for name, _ in bob.heard] == ["connected"]


def test_a_device_that_hears_of_thousands_still_fits_its_requests() -> None:
    bob = _connected()
    for number in range(600):
        bob.hear(_invited(f"{number:064}"))
    bob.wait(40)
    for request in bob.outgoing:
        assert isinstance(request, Sync)
        assert len(request.known or ()) <= 200


# Anything.

_ids = st.sampled_from((IID, "other"))
_texts = st.text(max_size=8) | st.binary(max_size=9)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_fields = st.fixed_dictionaries(
    {"ev": st.sampled_from(("invited", "accepted", "rejected", "cancelled", "taken", "modified", "timed_out", "ended",
                            "expired", "offline", "dropped", "ringing", "odd", "group_created", "member_invited",
                            "member_kicked", "member_leave", "group_dismissed", "counter", "application"))},
    optional={
        "gid": st.sampled_from(("g1", "g2")) | _values, "key": _values, "value": _values, "user": _values,
        "iid": _ids | _values, "n": st.integers(0, 5) | _values, "p": st.integers(0, 5) | _values,
        "by": st.sampled_from(("ann", "bob", "cid")) | _values, "dev": st.just("d1") | _values,
        "end": st.sampled_from(("accepted", "notice")) | _values, "ttl": st.integers(0, 9_000) | _values,
        "to": st.just(["bob"]) | _values, "out": st.just(["bob"]) | _values, "why": st.just("crossing") | _values,
        "data": st.binary(max_size=9) | _values, "re": _values, "ts": _values,
    },
)  # fmt: skip


@settings(max_examples=200)
@given(st.data())
def test_nothing_that_comes_stops_a_device(data: st.DataObject) -> None:
    bob = Device("bob")
    bob.connect()
    acts: dict[str, Callable[[], object]] = {
        "events": lambda: bob.hear_raw([_whole(data.draw(_fields)) for _ in range(3)]),
        "value": lambda: bob.hear_raw(data.draw(_values)),
        "bytes": lambda: bob.receive(TOPICS.events("bob"), data.draw(st.binary(max_size=40))),
        "answer": lambda: bob.receive(TOPICS.answers("bob", "d1"), pack(_answer(bob, data))),
        "group": lambda: bob.receive(
            TOPICS.group_events("g1"), pack([_whole(data.draw(_fields)) for _ in range(3)])
        ),
        "subacks": lambda: bob.grant(ok=data.draw(st.booleans())),
        "join": lambda: bob.request(JoinGroup(id=new_id(), dev="d1", gid="g1")),
        "wait": lambda: bob.wait(data.draw(st.sampled_from((0.5, 3, 700)))),
        "lose": bob.lose,
        "connect": bob.connect,
        "invite": lambda: bob.request(invite("ann", iid=data.draw(_ids))),
        "answer it": lambda: bob.request(accept(iid=data.draw(_ids))),
        "cancel": lambda: bob.request(cancel(iid=data.draw(_ids))),
    }
    for act in data.draw(st.lists(st.sampled_from(sorted(acts)), max_size=12)):
        acts[act]()
    bob.heard.clear()
    bob.connect()
    bob.hear(Invited(iid="new", n=1, by="zoe", to=("bob",), ttl=30_000))
    assert bob.names("new") == ["receive_new_invitation"]
    bob.core.close()
    bob._drain()


def _whole(event: dict[str, Any]) -> dict[str, Any]:
    """Complete in most cases, so that not all of them fall at the first hurdle."""
    whole = {"iid": IID, "gid": "g1", "n": 1, "to": ["bob"], "by": "ann", "key": "k", "value": 1, "user": "ann"}
    return whole | event


def _answer(bob: Device, data: st.DataObject) -> object:
    ids = [request.id for _, request in bob.sent] or [b"12345678"]
    fields = st.fixed_dictionaries(
        {"re": st.sampled_from(ids)},
        optional={
            "err": st.just({"code": 1, "name": "server_unavailable"}) | _values, "n": st.integers(0, 5) | _values,
            "evs": st.lists(_fields.map(_whole), max_size=3) | _values, "gone": st.just([IID]) | _values,
            "more": st.booleans(), "next": st.binary(max_size=3), "ts": st.integers(0, 2**53) | _values,
            "state": st.just({"iid": IID, "data": b"\xc1"}) | _values,
            "groups": st.dictionaries(st.sampled_from(("g1", "g2")), st.integers(0, 9)) | _values,
            "group": st.just({"gid": "g1", "n": 3, "preset": "work", "join": "free", "count": 1}) | _values,
        },
    )  # fmt: skip
    return data.draw(fields)
