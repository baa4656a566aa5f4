"""What all members of a group share: attributes and counters."""

import pytest

from ringline.protocol.errors import ATTRIBUTES_CHANGED, BAD_PARAMETER, TOO_LARGE
from ringline.protocol.group_requests import Count, SetAttributes
from ringline.protocol.group_shapes import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_COUNTERS
from ringline.protocol.limits import MAX_INT
from ringline_broker.engine.step import Done
from tests.unit.engine.groups.play import Room, asks, room

# Attributes.


def _with(**attributes: bytes) -> Room:
    made = room("live", "bob")
    assert made.done("bob", SetAttributes, put=attributes) == ["attributes *"]
    return made


def test_attributes_are_written_and_have_the_events_version() -> None:
    made = _with(a=b"1", b=b"2")
    assert dict(made.it.attributes) == {"a": b"1", "b": b"2"}
    assert made.it.attributes_n == made.it.n == made.last().n
    assert made.done("ann", SetAttributes, put={"a": b"1", "b": b"3"}, drop=("nothing",)) == ["attributes *"]
    assert (made.last().put, made.last().drop) == ({"b": b"3"}, ())


@pytest.mark.parametrize(
    ("request_", "attributes", "put", "drop"),
    [
        ({"drop": ("a",)}, {"b": b"2"}, None, ("a",)),
        ({"clear": True}, {}, None, ("a", "b")),
        ({"drop": ("a",), "put": {"a": b"9"}}, {"b": b"2", "a": b"9"}, {"a": b"9"}, ()),
        ({"clear": True, "put": {"b": b"2"}}, {"b": b"2"}, None, ("a",)),
        ({"clear": True, "drop": ("c",), "put": {"c": b"3"}}, {"c": b"3"}, {"c": b"3"}, ("a", "b")),
    ],
)
def test_all_go_then_some_go_then_some_come(
    request_: dict[str, object], attributes: dict[str, bytes], put: object, drop: object
) -> None:
    made = _with(a=b"1", b=b"2")
    assert made.done("bob", SetAttributes, **request_) == ["attributes *"]
    assert dict(made.it.attributes) == attributes
    assert (made.last().put, made.last().drop) == (put, drop)


def test_nothing_new_is_nothing_told() -> None:
    made = _with(a=b"1")
    version = made.it.attributes_n
    made.idle("bob", SetAttributes)
    made.idle("bob", SetAttributes, put={"a": b"1"}, drop=("b",))
    made.idle("bob", SetAttributes, put={"a": b"1"}, clear=True, drop=("a",))
    assert made.it.attributes_n == version


def test_who_writes_at_a_version_meets_no_other() -> None:
    made = room("meeting", "bob")
    assert made.done("bob", SetAttributes, at=0, put={"a": b"1"})
    version = made.it.attributes_n
    made.ask("ann", Count, key="c", add=1)  # another event moves the group's version, not theirs
    for at in (0, version - 1, version + 1):
        assert made.refused("bob", ATTRIBUTES_CHANGED, SetAttributes, at=at, put={"a": b"1"}).field == "at"
    request = asks(SetAttributes, at=version, put={"a": b"2"})
    assert made.send("bob", request) == Done()
    assert made.send("bob", request) == Done(repeated=True)
    made.idle("bob", SetAttributes, at=made.it.attributes_n, put={"a": b"2"})


def test_there_are_only_so_many_attributes() -> None:
    made = _with(**{f"k{n}": b"" for n in range(MAX_ATTRIBUTES)})
    assert made.refused("bob", TOO_LARGE, SetAttributes, put={"k": b""}).field == "put"
    assert made.done("bob", SetAttributes, put={"k": b""}, drop=("k0",))
    assert made.done("bob", SetAttributes, put={"k": b"", "j": b""}, clear=True)


def test_attributes_have_only_so_many_bytes() -> None:
    size = MAX_ATTRIBUTE_BYTES - len("ü".encode())
    full = {key: bytes(size) for key in "üäöß"}
    assert sum(len(key.encode()) + len(value) for key, value in full.items()) == MAX_ATTRIBUTES_BYTES
    made = _with(**full)
    made.refused("bob", TOO_LARGE, SetAttributes, put={"k": b""})
    made.refused("bob", TOO_LARGE, SetAttributes, put={"ü": bytes(size + 1)})
    assert made.done("bob", SetAttributes, put={"ü": bytes(size - 1), "k": b""})


# Counters.


def test_a_counter_counts_once_a_request() -> None:
    made = room("live", "bob")
    request = asks(Count, key="likes", add=2)
    assert made.send("bob", request) == Done()
    assert made.told() == ["counter *"]
    assert made.send("bob", request) == Done(repeated=True)
    assert made.ask("ann", Count, key="likes", add=2, id=request.id) == Done()  # another user's request
    assert made.ask("bob", Count, key="likes", add=-1) == Done()
    assert (made.it.counters, made.last().key, made.last().value) == ({"likes": 3}, "likes", 3)
    assert made.done("bob", Count, key="likes", put=-7) == ["counter *"]
    made.idle("bob", Count, key="likes", put=-7)
    made.idle("bob", Count, key="likes", add=0)


@pytest.mark.parametrize("fields", [{}, {"add": 1, "put": 1}, {"add": 0, "put": 0}])
def test_a_counter_is_either_added_to_or_set(fields: dict[str, int]) -> None:
    assert room("live").refused("ann", BAD_PARAMETER, Count, key="c", **fields).field == "add"


def test_a_counter_stays_exact() -> None:
    made = room("live")
    for sign in (1, -1):
        assert made.ask("ann", Count, key="c", put=sign * MAX_INT) == Done()
        assert made.refused("ann", BAD_PARAMETER, Count, key="c", add=sign).field == "add"
        assert made.it.counters == {"c": sign * MAX_INT}


def test_there_are_only_so_many_counters_and_0_is_none() -> None:
    made = room("live")
    for n in range(MAX_COUNTERS):
        made.ask("ann", Count, key=f"c{n}", add=1)
    assert made.refused("ann", TOO_LARGE, Count, key="c", add=1).field == "key"
    made.idle("ann", Count, key="c", put=0)
    assert made.ask("ann", Count, key="c0", add=1) == Done()
    assert made.done("ann", Count, key="c1", put=0) == ["counter *"]
    assert made.last().value == 0
    assert "c1" not in made.it.counters
    assert made.ask("ann", Count, key="c", add=1) == Done()
