"""Records as bytes: what was written is read again, also by versions to come; what is damaged is told."""

from collections.abc import Callable
from types import MappingProxyType

import msgpack
import pytest

from ringline_broker.engine.groups.model import Group, GroupLogEvent, Person, Standing
from ringline_broker.engine.model import Invitation, LogEvent, Part, Seat
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores import group_record, record
from tests.stores.made import NOW
from tests.stores.made_groups import event, founded, later, member, whole

INVITATION = Invitation(
    "i1", "ann", {"ben": Seat(Part.ACCEPTED, "d9"), "cas": Seat()}, n=2, data=b"\0x", audience="parties",
    online_only=True, timeout=30, created=NOW, due=NOW + 30_000, size=321, gid="g1",
    events=(
        LogEvent(1, "invited", NOW, ("ben", "cas"), "ann", "d1", b"8 bytes!", data=b"\0x"),
        LogEvent(2, "accepted", NOW + 1, ("ann", "cas"), "ben", "d9", b"others!!", reason="r", text="é", out=("ben",)),
    ),
)  # fmt: skip
LAYOUT_1 = bytes.fromhex(
    "dc001001a26931a3616e6e9293a362656ea86163636570746564a2643993a3636173a770656e64696e67c002c4020078c0a7706172746965"
    "73c31ecf000001977420dc00cf0000019774215130c0c0cd0141929c01a7696e7669746564cf000001977420dc0092a362656ea3636173a3"
    "616e6ea26431c4083820627974657321c0c4020078a0a0909c02a86163636570746564cf000001977420dc0192a3616e6ea3636173a36265"
    "6ea26439c4086f74686572732121c0c400a172a2c3a991a362656e"
)
"""The same invitation as it was written before there were groups."""
LAYOUT_2 = bytes.fromhex(
    "dc001102a26931a3616e6e9293a362656ea86163636570746564a2643993a3636173a770656e64696e67c002c4020078c0a7706172746965"
    "73c31ecf000001977420dc00cf0000019774215130c0c0cd0141a26731929c01a7696e7669746564cf000001977420dc0092a362656ea363"
    "6173a3616e6ea26431c4083820627974657321c0c4020078a0a0909c02a86163636570746564cf000001977420dc0192a3616e6ea3636173"
    "a362656ea26439c4086f74686572732121c0c400a172a2c3a991a362656e"
)

GROUP = later(
    founded("g1", "ben", admins=("ben",), attributes={"k": b"\0\xff"}), name="später",
    events=(event(1, "group_created", "ann"), event(2, "group_info", "ann")),
)  # fmt: skip
GROUP_LAYOUT_1 = bytes.fromhex(
    "dc001701a26731a4776f726ba362656ecf000001977420dc000291a362656ea77370c3a4746572a0a0a08000a46672656501c281a16bc402"
    "00ff0080c00000929901ad67726f75705f63726561746564cf000001977420dc01c391a3616e6ea3616e6ea26431c4080000000000000001"
    "809902aa67726f75705f696e666fcf000001977420dc02c391a3616e6ea3616e6ea26431c408000000000000000280"
)
"""That group as it was written before its maker was known."""


def test_an_invitation_is_read_as_it_was_written() -> None:
    assert record.encode(INVITATION) == LAYOUT_2, "a record changes its layout together with its number"
    assert record.decode(LAYOUT_2) == INVITATION
    assert record.parties(LAYOUT_2) == ("ann", "ben", "cas")


def test_an_invitation_of_before_there_were_groups_is_in_none() -> None:
    assert record.decode(LAYOUT_1) == INVITATION._replace(gid="")
    assert record.parties(LAYOUT_1) == ("ann", "ben", "cas")


def test_who_does_not_let_the_inviter_ring_is_kept_and_is_no_party() -> None:
    one = INVITATION._replace(seats={"ben": Seat(), "eve": Seat(Part.BLOCKED), "cas": Seat(Part.BLOCKED, "d1")})
    body = record.encode(one)
    assert record.decode(body) == one
    assert record.decode(body).seats["eve"].part is Part.BLOCKED
    assert record.parties(body) == one.parties == ("ann", "ben")


@pytest.mark.parametrize("part", Part)
def test_every_part_is_read_as_it_was_written(part: Part) -> None:
    one = INVITATION._replace(seats={"ben": Seat(part, "d9")})
    body = record.encode(one)
    assert record.decode(body) == one
    assert record.decode(body).seats["ben"].part is part
    assert record.parties(body) == one.parties


def test_a_group_of_before_its_maker_was_known_was_made_by_its_owner() -> None:
    assert group_record.decode_group(GROUP_LAYOUT_1) == GROUP
    assert (GROUP.owner, GROUP.maker) == ("ben", "ben")


def test_a_group_is_read_as_it_was_written() -> None:
    group = whole("g1")
    read = group_record.decode_group(group_record.encode_group(group))
    assert read == group
    assert all(type(event) is GroupLogEvent for event in read.events)
    assert type(read.custom) is type(read.attributes) is type(read.events[0].fields) is dict
    assert group_record.decode_group(group_record.encode_group(founded("g1"))) == founded("g1")


@pytest.mark.parametrize("standing", Standing)
def test_a_person_is_read_as_they_were_written(standing: Standing) -> None:
    person = Person("é", standing, NOW, "card 名", {"k": b"\0\xff"}, NOW + 5, "please 🙂")
    read = group_record.decode_person(group_record.encode_person(person))
    assert read == person
    assert type(read.standing) is Standing
    bare = Person("é", standing, NOW)
    assert group_record.decode_person(group_record.encode_person(bare)) == bare


def test_mappings_that_cannot_be_changed_are_kept_wherever_they_are() -> None:
    fields = MappingProxyType({"custom": MappingProxyType({"k": b"v"}), "users": ("ann",)})
    info = GroupLogEvent(2, "group_info", NOW, True, (), None, None, None, fields)
    group = founded("g1")._replace(events=(info,), attributes=MappingProxyType({"a": b""}))
    assert group_record.decode_group(group_record.encode_group(group)) == group


def test_what_a_record_cannot_hold_is_told() -> None:
    with pytest.raises(TypeError, match="a record cannot hold"):
        group_record.encode_group(founded("g1", name={"a set"}))


def test_a_record_has_the_fields_of_its_layout() -> None:
    """Who adds, takes or moves a field gives the layout a new number, and reads the old ones; then this is changed."""
    assert (group_record.GROUP_LAYOUT, group_record.PERSON_LAYOUT) == (2, 1)
    assert " ".join(Group._fields) == (
        "gid preset owner maker created n admins name introduction notification face custom most join members muted "
        "attributes attributes_n counters dismissed forgotten size events"
    )
    assert " ".join(GroupLogEvent._fields) == "n ev ts for_all to by dev re fields"
    assert " ".join(Person._fields) == "user standing since card custom until text"


def packed(*row: object) -> bytes:
    body: bytes = msgpack.packb(row)
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "incomplete input"),
        (b"\xc1", "cannot be read"),
        (b"\x01", "cannot be read"),
        (b"\x90", "cannot be read"),
        (packed(1), "cannot be read"),
        (packed(3, 1, 1), "its layout is 3; this version reads up to"),
        (packed(0, 1, 1), "its layout is 0; this version reads up to"),
        (packed("1", 1, 1), "its layout is 1; this version reads up to"),
        (packed([1], 1, 1), "cannot be read"),
        (packed(1, *[1] * 6), "cannot be read"),
        (packed(1, *[1] * 7), "cannot be read"),
        (packed(1, *[1] * 22), "cannot be read"),
        (packed(2, *[1] * 22), "cannot be read"),
        (packed(2, *[1] * 23), "cannot be read"),
        (packed(1, *["\N{SNOWMAN}"] * 30), "cannot be read"),
        (b"\x93\x01\xa1\xff\x01", "cannot be read"),
        (b"\x81\x01\x01", "cannot be read"),
    ],
)
@pytest.mark.parametrize("decode", [group_record.decode_group, group_record.decode_person])
def test_a_record_that_cannot_be_read_is_told(decode: Callable[[bytes], object], body: bytes, words: str) -> None:
    with pytest.raises(StoreUnavailable, match=words):
        decode(body)


def test_a_record_that_was_cut_or_grew_is_told() -> None:
    decoders: list[tuple[bytes, Callable[[bytes], object]]] = [
        (LAYOUT_1, record.decode),
        (LAYOUT_2, record.decode),
        (GROUP_LAYOUT_1, group_record.decode_group),
        (group_record.encode_group(whole("g1")), group_record.decode_group),
        (group_record.encode_person(member("ann")), group_record.decode_person),
    ]
    for body, decode in decoders:
        for cut in range(len(body)):
            with pytest.raises(StoreUnavailable):
                decode(body[:cut])
        with pytest.raises(StoreUnavailable):
            decode(body + b"\0")
