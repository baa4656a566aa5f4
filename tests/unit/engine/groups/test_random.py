"""Whatever users ask in whatever order: what always holds, holds; and who hears all knows all."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.protocol import group_events as told
from ringline.protocol import group_requests as asked
from ringline.protocol.shapes import GroupEvent
from ringline_broker.engine.groups.draft import GroupLimits
from ringline_broker.engine.groups.log import Departure, comings_and_goings, events_since, message_for, news
from ringline_broker.engine.groups.rights import role_of
from ringline_broker.engine.step import Refused
from tests.unit.engine.groups.play import GID, PRESETS, Room, asks

USERS = ("ann", "bob", "cid", "dee")
_user = st.sampled_from(USERS)
_some = st.lists(_user, max_size=4).map(tuple)
_text = st.sampled_from(["", "x", "y"])
_flag = st.booleans()
_map = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from([b"", b"1"]), max_size=2)
_number = st.none() | st.integers(-2, 2)
_join = st.sampled_from(["free", "free", "approval", "invite"])

FIELDS: dict[type[asked.OnGroup], dict[str, st.SearchStrategy[Any]]] = {
    asked.CreateGroup: {"preset": st.sampled_from(PRESETS), "to": _some, "join": _join},
    asked.JoinGroup: {"text": _text},
    asked.QuitGroup: {},
    asked.AddMembers: {"to": _some},
    asked.RemoveMembers: {"to": _some, "ban": st.sampled_from([0, 0, 2])},
    asked.SetRole: {"user": _user, "role": st.sampled_from(["admin", "member"])},
    asked.TransferGroup: {"user": _user},
    asked.SetGroupInfo: {"name": st.none() | _text, "join": st.none() | _join, "most": st.none() | st.integers(0, 4)},
    asked.SetMyInfo: {"card": st.none() | _text},
    asked.MuteMember: {"user": _user, "seconds": st.integers(0, 2)},
    asked.MuteAll: {"on": _flag},
    asked.SetAttributes: {"put": st.none() | _map, "drop": st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
                       "clear": _flag, "at": st.none() | st.integers(0, 9)},
    asked.Count: {"key": st.sampled_from(["a", "b"]), "add": _number, "put": _number},
    asked.AnswerApplication: {"user": _user, "ok": _flag},
}  # fmt: skip
_request = st.one_of(*(st.builds(asks, st.just(kind), **fields) for kind, fields in FIELDS.items()))
_turns = st.lists(st.tuples(_user, _request, st.sampled_from([0, 0, 0, 1000])), max_size=40)


@dataclass
class Mirror:
    """What a device that hears every event for all believes of the group."""

    members: set[str]
    owner: str
    admins: set[str] = field(default_factory=set[str])
    name: str = ""
    muted: bool = False
    attributes: dict[str, bytes] = field(default_factory=dict[str, bytes])
    counters: dict[str, int] = field(default_factory=dict[str, int])
    is_over: bool = False

    def hear(self, event: GroupEvent) -> None:
        match event:
            case told.MemberEnter() | told.MemberInvited():
                assert not self.members & set(event.users)
                self.members |= set(event.users)
            case told.MemberLeave() | told.MemberKicked():
                assert self.members >= set(event.users)
                self.members -= set(event.users)
                self.admins -= set(event.users)
            case told.AdminsGranted():
                self.admins |= set(event.users)
            case told.AdminsRevoked():
                self.admins -= set(event.users)
            case told.GroupInfoChanged():
                self.name = self.name if event.name is None else event.name
                self.owner = self.owner if event.owner is None else event.owner
                self.admins -= {self.owner}
            case told.AllMuted():
                self.muted = event.on
            case told.AttributesChanged():
                kept = {key: value for key, value in self.attributes.items() if key not in event.drop}
                self.attributes = kept | (event.put or {})
            case told.CounterChanged():
                self.counters = {k: v for k, v in (self.counters | {event.key: event.value}).items() if v}
            case told.GroupDismissed():
                self.is_over = True
            case _:
                pass

    def is_as(self, made: Room) -> None:
        it = made.it
        if self.is_over:
            assert it.dismissed is not None
            return
        assert (self.members, self.owner, self.admins) == (made.members, it.owner, set(it.admins))
        assert (self.name, self.muted, self.attributes, self.counters) == (
            it.name, it.muted, dict(it.attributes), dict(it.counters),
        )  # fmt: skip


def _played(turns: list[tuple[str, Any, int]], preset: str) -> tuple[Room, Mirror]:
    made, mirror = Room(GroupLimits(dict.fromkeys(PRESETS, 3))), Mirror({"ann"}, "ann")
    made.ask("ann", asked.CreateGroup, preset=preset)
    for user, request, later in turns:
        made.now += later
        before = made.group, dict(made.rows)
        reply = made.send(user, request)
        if isinstance(reply, Refused):
            assert (made.group, made.rows) == before
            continue
        again = made.group, dict(made.rows)
        assert made.send(user, request).repeated  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue]
        assert (made.group, made.rows) == again
        _is_told(made, 0 if before[0] is None else before[0].n, mirror)
    return made, mirror


def _is_told(made: Room, since: int, mirror: Mirror) -> None:
    was_in = set(mirror.members)
    for event, p in news(made.it, since):
        assert event.to or event.for_all
        if event.for_all:
            mirror.hear(message_for(event, p, GID))
    mirror.is_as(made)
    moved = comings_and_goings(made.it, since)
    gone = {user for one in moved if isinstance(one, Departure) for user in (one.users or was_in)}
    assert gone == was_in - made.members
    come = {user for one in moved if not isinstance(one, Departure) for user in one.users}
    assert come - gone == made.members - was_in


@settings(max_examples=150)
@given(_turns, st.sampled_from(PRESETS), _flag)
def test_what_always_holds_holds(turns: list[tuple[str, Any, int]], preset: str, is_dismissed: bool) -> None:
    ending = [(user, asks(asked.DismissGroup), 0) for user in USERS] if is_dismissed else []
    made, _ = _played([*turns, *ending], preset)
    chain = [(event.n, p) for event, p in news(made.it, 0) if event.for_all]
    assert [p for _, p in chain] == [0, *(n for n, _ in chain)][:-1]
    if is_dismissed and preset != "work":
        assert made.it.dismissed is not None


@settings(max_examples=50)
@given(_turns, st.sampled_from(PRESETS), st.integers(0, 40))
def test_what_was_heard_and_what_was_missed_is_all(turns: list[tuple[str, Any, int]], preset: str, heard: int) -> None:
    made, _ = _played(turns, preset)
    heard = min(heard, made.it.n)
    for user in USERS:
        is_member = bool(role_of(made.view, user))
        everything = events_since(made.it, 0, user, is_member=is_member)
        missed = events_since(made.it, heard, user, is_member=is_member)
        assert everything is not None
        assert missed == [(event, p) for event, p in everything if event.n > heard]


@given(_turns)
def test_a_work_group_has_nobody_but_its_owner_above_others(turns: list[tuple[str, Any, int]]) -> None:
    made, _ = _played(turns, "work")
    assert made.it.admins == ()
    assert not made.it.muted
    assert not any(event.ev == "application" for event in made.it.events)
