"""What the log tells: to whom, after which version, and how far back."""

import pytest

from ringline.protocol.codec import Codec, pack
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_requests import (
    AddMembers,
    AnswerApplication,
    Count,
    CreateGroup,
    DismissGroup,
    JoinGroup,
    MuteAll,
    MuteMember,
    QuitGroup,
    RemoveMembers,
    SetAttributes,
    SetGroupInfo,
    SetMyInfo,
    SetRole,
    TransferGroup,
)
from ringline.protocol.group_shapes import MAX_ATTRIBUTE_BYTES
from ringline.protocol.group_states import GroupState
from ringline.protocol.limits import MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES
from ringline_broker.engine.groups.log import (
    Arrival,
    Departure,
    comings_and_goings,
    events_since,
    member_for,
    message_for,
    news,
    state_for,
)
from ringline_broker.engine.groups.model import MAX_ADMINS, MAX_EVENTS, MAX_EVENTS_BYTES
from ringline_broker.engine.step import Done
from tests.unit.engine.groups.play import GID, Room, asks, room


def _heard(made: Room, n: int, user: str) -> list[tuple[str, int, int]] | None:
    heard = events_since(made.it, n, user, is_member=user in made.members)
    return None if heard is None else [(event.ev, event.n, p) for event, p in heard]


def _applied() -> Room:
    """1 created, 2 bob is in, 3 bob is an administrator, 4 dee applies, 5 all are muted."""
    made = room("public", "bob", admins=("bob",))
    made.ask("dee", JoinGroup)
    made.ask("ann", MuteAll, on=True)
    return made


def test_events_for_all_are_chained_and_others_are_not() -> None:
    made = _applied()
    assert _heard(made, 0, "ann") == [
        ("group_created", 1, 0),
        ("member_invited", 2, 0),
        ("admin_granted", 3, 2),
        ("application", 4, 0),
        ("all_muted", 5, 3),
    ]
    assert _heard(made, 3, "bob") == [("application", 4, 0), ("all_muted", 5, 3)]
    assert _heard(made, 5, "bob") == []


def test_who_is_no_member_hears_only_what_is_addressed_to_them() -> None:
    made = _applied()
    assert _heard(made, 0, "dee") == []
    made.ask("bob", AnswerApplication, user="dee", ok=False)
    assert _heard(made, 0, "dee") == [("application_done", 6, 0)]
    made.ask("ann", RemoveMembers, to=("bob",))
    assert _heard(made, 6, "bob") == [("member_kicked", 7, 5)]
    made.ask("ann", MuteAll, on=False)
    assert _heard(made, 7, "bob") == []


def test_a_plain_member_does_not_hear_who_applies() -> None:
    made = room("public", "bob")
    made.ask("dee", JoinGroup)
    made.ask("ann", AnswerApplication, user="dee", ok=False)
    made.ask("ann", MuteAll, on=True)
    assert _heard(made, 2, "bob") == [("all_muted", 5, 2)]
    assert _heard(made, 0, "bob") == [("member_invited", 2, 0), ("all_muted", 5, 2)]


def test_a_version_the_group_never_had_is_out_of_reach() -> None:
    made = _applied()
    assert _heard(made, 6, "ann") is None


def test_the_log_keeps_so_many_events_and_the_chain_goes_on() -> None:
    made = room("live", "bob")
    for _ in range(MAX_EVENTS):
        made.ask("bob", Count, key="c", add=1)
    it = made.it
    assert len(it.events) == MAX_EVENTS
    oldest = it.events[0].n
    assert (it.n, oldest, it.forgotten) == (MAX_EVENTS + 2, 3, 2)
    assert _heard(made, oldest - 2, "bob") is None
    heard = _heard(made, oldest - 1, "bob")
    assert heard is not None
    assert heard[0] == ("counter", 3, 2)
    assert len(heard) == MAX_EVENTS


def test_the_chain_skips_forgotten_events_that_were_not_for_all() -> None:
    made = room("public", "bob")
    for n in range(MAX_EVENTS):
        made.ask("dee", JoinGroup, text=str(n))
    assert made.it.forgotten == 2
    made.ask("ann", Count, key="c", add=1)
    assert [p for _, p in news(made.it, made.it.n - 1)] == [2]


def test_the_log_keeps_so_many_bytes() -> None:
    made = room("live", "bob")
    for n in range(40):
        value = bytes([n]) * MAX_ATTRIBUTE_BYTES
        made.ask("bob", SetAttributes, put={"a": value, "b": value})
    it = made.it
    assert 4 <= len(it.events) <= MAX_EVENTS_BYTES // (2 * MAX_ATTRIBUTE_BYTES)
    assert MAX_EVENTS_BYTES // 2 < it.size <= MAX_EVENTS_BYTES
    assert it.forgotten == it.events[0].n - 1


def test_the_largest_requests_events_stay_until_they_are_published() -> None:
    users = tuple(f"{n}".rjust(64, "u") for n in range(MAX_REQUEST_BYTES // 66))
    made = Room()
    made.ask("ann", CreateGroup, preset="meeting", to=users, name="n" * 100)
    assert [event.n for event, _ in news(made.it, 0)] == [1, 2]
    assert made.ask("ann", RemoveMembers, to=users) == Done()
    assert len(made.it.events[-1].to) == len(users)


def test_every_event_is_a_message_that_can_be_read_again() -> None:
    made = Room()
    made.ask("ann", CreateGroup, preset="public", name="Us", to=("bob",))
    for user, request in [
        ("dee", asks(JoinGroup, text="hi")),
        ("ann", asks(AnswerApplication, user="dee", ok=True, text="come")),
        ("ann", asks(SetRole, user="bob", role="admin")),
        ("ann", asks(SetRole, user="bob", role="member")),
        ("ann", asks(SetGroupInfo, name="We", custom={"k": b"v"}, most=7, join="free", face="f")),
        ("bob", asks(SetMyInfo, card="B", custom={})),
        ("bob", asks(SetMyInfo, custom={"k": b"v"})),
        ("ann", asks(MuteMember, user="bob", seconds=5)),
        ("ann", asks(MuteAll, on=True)),
        ("bob", asks(SetAttributes, put={"a": b"1"})),
        ("bob", asks(SetAttributes, put={"b": b"1"}, drop=("a",))),
        ("bob", asks(Count, key="c", add=-4)),
        ("ann", asks(AddMembers, to=("eve", "fay"))),
        ("ann", asks(RemoveMembers, to=("eve",), reason="spam")),
        ("bob", asks(QuitGroup, dev="d9")),
        ("ann", asks(TransferGroup, user="dee")),
        ("dee", asks(DismissGroup)),
    ]:
        assert made.send(user, request).repeated is False  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue]
    seen = set[str]()
    for event, p in news(made.it, 0):
        sent = message_for(event, p, GID)
        codec = GROUP_EVENTS[event.ev]
        assert (sent.gid, sent.n, sent.p, sent.ts, sent.by) == (GID, event.n, p, made.now, event.by)
        assert (sent.dev, sent.re) == (event.dev, event.re)
        on_the_wire = {
            key: list(value) if isinstance(value, tuple) else value for key, value in codec.to_map(sent).items()
        }
        assert codec.decode(on_the_wire) == sent
        seen.add(event.ev)
    assert seen == set(GROUP_EVENTS)


def test_how_long_somebody_is_muted_is_told_as_what_is_left() -> None:
    made = room("public", "bob")
    made.ask("ann", MuteMember, user="bob", seconds=60)
    event = made.it.events[-1]
    told = [getattr(message_for(event, 0, GID, made.now + later), "muted", None) for later in (0, 1, 999, 1000, 59_001)]
    assert told == [60, 60, 60, 59, 1]
    assert getattr(message_for(event, 0, GID, made.now + 60_000), "muted", None) == 0
    assert getattr(message_for(event, 0, GID), "muted", None) == 60
    assert dict(event.fields) == {"user": "bob", "muted": 60}


# States.


def _full() -> Room:
    made = room("public", "bob", "cid", admins=("cid",), custom={"k": b"v"}, name="Us")
    made.ask("ann", SetAttributes, put={"a": b"1"})
    made.ask("ann", Count, key="c", add=4)
    return made


def test_a_member_is_told_all_and_a_stranger_what_is_public() -> None:
    made = _full()
    seen, public = state_for(made.view, "bob"), state_for(made.view, "dee")
    assert (seen.gid, seen.n, seen.preset, seen.owner, seen.admins) == (GID, made.it.n, "public", "ann", ("cid",))
    assert (seen.name, seen.custom, seen.most, seen.join) == ("Us", {"k": b"v"}, 2000, "approval")
    assert (seen.count, seen.muted, seen.created) == (3, False, made.now)
    assert (seen.attributes, seen.attributes_n, seen.counters) == ({"a": b"1"}, made.it.attributes_n, {"c": 4})
    assert [state_for(made.view, user).role for user in ("ann", "cid", "bob")] == ["owner", "admin", "member"]
    assert (public.attributes, public.attributes_n, public.counters) == (None, 0, None)
    seen.role, seen.attributes, seen.attributes_n, seen.counters = "", None, 0, None  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert public == seen


def test_the_largest_state_fits_into_an_answer() -> None:
    users = [f"{n}".rjust(64, "u") for n in range(MAX_ADMINS)]
    made = room(
        "public", *users, admins=tuple(users),
        name="n" * 100, introduction="i" * 400, notification="n" * 400, face="f" * 500,
        custom={f"{n}".rjust(64, "k"): bytes(512) for n in range(16)},
    )  # fmt: skip
    made.ask("ann", SetAttributes, put={f"{n}".rjust(64, "k"): bytes(960) for n in range(16)})
    for n in range(16):
        made.ask("ann", Count, key=f"{n}".rjust(64, "k"), put=2**53 - 1)
    state = pack({"re": bytes(8), "group": Codec(GroupState).to_map(state_for(made.view, "ann"))})
    assert 28_000 < len(state) < MAX_MESSAGE_BYTES - 256


@pytest.mark.parametrize(("later", "left"), [(0, 60), (1, 60), (1000, 59), (59_999, 1), (60_000, 0), (90_000, 0)])
def test_a_members_mute_is_told_in_whole_seconds(later: int, left: int) -> None:
    made = _full()
    made.ask("ann", MuteMember, user="bob", seconds=60)
    assert member_for(made.it, made.rows["bob"], made.now + later).muted == left


def test_members_and_applicants_are_listed_as_what_they_are() -> None:
    made = _full()
    made.ask("bob", SetMyInfo, card="B", custom={"k": b"v"})
    made.ask("dee", JoinGroup, text="hi")
    people = {user: member_for(made.it, person, made.now) for user, person in made.rows.items()}
    assert {user: person.role for user, person in people.items()} == {
        "ann": "owner", "bob": "member", "cid": "admin", "dee": "",
    }  # fmt: skip
    assert (people["bob"].card, people["bob"].custom, people["bob"].joined) == ("B", {"k": b"v"}, made.now)
    assert (people["dee"].text, people["dee"].joined) == ("hi", made.now)


# Comings and goings.


def test_who_came_in_which_order_with_who_left() -> None:
    made = room("meeting", "bob")
    since = made.it.n
    made.ask("dee", JoinGroup)
    made.ask("bob", QuitGroup)
    made.ask("ann", AddMembers, to=("bob", "eve"))
    assert comings_and_goings(made.it, 0)[:2] == [Arrival(("ann",)), Arrival(("bob",))]
    assert comings_and_goings(made.it, since) == [
        Arrival(("dee",)), Departure(("bob",), "left", made.now), Arrival(("bob", "eve")),
    ]  # fmt: skip


def test_who_left_and_why() -> None:
    made = room("meeting", "bob", "cid", "dee", "eve")
    since = made.it.n
    made.ask("bob", QuitGroup)
    left = made.it.n
    made.now += 5
    made.ask("ann", MuteAll, on=True)
    made.ask("ann", RemoveMembers, to=("cid", "dee"))
    made.ask("ann", DismissGroup)
    assert comings_and_goings(made.it, since) == [
        Departure(("bob",), "left", made.now - 5),
        Departure(("cid", "dee"), "removed", made.now),
        Departure(None, "dismissed", made.now),
    ]
    assert comings_and_goings(made.it, left) == comings_and_goings(made.it, since)[1:]
    assert comings_and_goings(made.it, made.it.n) == []
