"""The page's table of group callbacks, played by a real extension: who is sent each event, and what it is heard as."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ringline.group_listener import GroupListener
from ringline.protocol.events import decode_event, decode_events
from ringline.protocol.group_events import GROUP_EVENTS, OfMembers
from ringline.protocol.group_requests import (
    GROUP_REQUESTS,
    AddMembers,
    AnswerApplication,
    Count,
    CreateGroup,
    DismissGroup,
    JoinGroup,
    MuteAll,
    OnGroup,
    QuitGroup,
    RemoveMembers,
    SetAttributes,
    SetGroupInfo,
    SetMyInfo,
    SetRole,
)
from ringline.protocol.requests import encode_request
from ringline.protocol.shapes import GroupEvent
from ringline.protocol.topics import Topics
from ringline_broker.engine.groups.table import MAY
from tests.docs.generate import PAGE
from tests.docs.group_callbacks import LEADERS, MAKER, MEMBERS, NAMED, ROWS, WITHOUT_EVENT, GroupRow
from tests.docs.play import Extension
from tests.docs.stage import DEVICES, Stage

OWNER, ADMIN = "ann", "adam"
USERS = (OWNER, ADMIN, "bob", "cat", "dan", "eve")
GID = "g"
NOT_FOR_ALL = {"group_created", "application", "application_done"}


class Sent(NamedTuple):
    """An event, and the topics it was published on."""

    event: GroupEvent
    topics: frozenset[str]


SCENE: tuple[tuple[str, type[OnGroup], dict[str, Any]], ...] = (
    (OWNER, CreateGroup, {"preset": "public"}),
    (OWNER, AddMembers, {"to": (ADMIN, "bob", "cat")}),
    (OWNER, SetRole, {"user": ADMIN, "role": "admin"}),
    ("dan", JoinGroup, {}),
    (ADMIN, AnswerApplication, {"user": "dan", "ok": True}),
    ("bob", SetMyInfo, {"card": "Bob"}),
    (ADMIN, MuteAll, {"on": True}),
    (OWNER, SetGroupInfo, {"name": "G"}),
    ("cat", SetAttributes, {"put": {"k": b""}}),
    ("cat", Count, {"key": "k", "add": 1}),
    ("dan", QuitGroup, {}),
    (ADMIN, RemoveMembers, {"to": ("cat",)}),
    (OWNER, SetRole, {"user": ADMIN, "role": "member"}),
    (OWNER, DismissGroup, {}),
)
REQUESTS = [
    (by, kind(id=at.to_bytes(8, "big"), dev="one", gid=GID, **fields)) for at, (by, kind, fields) in enumerate(SCENE)
]


def _sent() -> list[Sent]:
    extension = Extension()
    sent: dict[int, Sent] = {}
    for by, request in REQUESTS:
        for topic, payload in extension.ask(by, encode_request(request)):
            for raw in decode_events(payload) if topic.endswith("/evt") else ():
                event = decode_event(raw)
                assert isinstance(event, GroupEvent)
                before = sent.get(event.n, Sent(event, frozenset()))
                assert before.event == event, "one event says two things"
                sent[event.n] = Sent(event, before.topics | {topic})
    return list(sent.values())


def _played() -> Stage:
    stage = Stage(*USERS)
    for by, request in REQUESTS:
        stage.ask(by, request)
    return stage


SENT = _sent()
STAGE = _played()


def _named(event: GroupEvent) -> tuple[str, ...]:
    """The users an event is about."""
    one = getattr(event, "user", None)
    return event.users if isinstance(event, OfMembers) else (one,) if one else ()


def _topics(row: GroupRow, event: GroupEvent) -> frozenset[str]:
    users: set[str] = set()
    users |= set(_named(event)) if NAMED in row.heard_by else set()
    users |= {OWNER, ADMIN} if LEADERS in row.heard_by else set()
    users |= {event.by or ""} if MAKER in row.heard_by else set()
    everybody = {Topics().group_events(GID)} if MEMBERS in row.heard_by else set[str]()
    return frozenset(everybody | {Topics().events(user) for user in users})


def test_every_kind_of_event_has_its_row_and_is_played() -> None:
    assert {row.event for row in ROWS} == set(GROUP_EVENTS) == {sent.event.ev for sent in SENT}


def test_every_callback_has_its_row() -> None:
    methods = {name for name in vars(GroupListener) if name.startswith("on_")}
    assert {row.callback for row in ROWS} | {callback for _, callback, _ in WITHOUT_EVENT} == methods


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.event}: {row.callback}")
def test_an_event_goes_to_whom_the_row_says(row: GroupRow) -> None:
    for event, topics in SENT:
        if event.ev == row.event:
            assert topics == _topics(row, event)


def _audience() -> Iterator[tuple[GroupEvent, str]]:
    """Every event, with every user who has to hear it: members as they are just then, and who else the rows name."""
    members: set[str] = {OWNER}
    for event in (sent.event for sent in SENT):
        named = set(_named(event))
        if event.ev in ("member_enter", "member_invited"):
            members |= named
        [heard_by] = {row.heard_by for row in ROWS if row.event == event.ev}
        users = members if MEMBERS in heard_by else set[str]()
        users = users | (named if NAMED in heard_by else set()) | ({OWNER} if MAKER in heard_by else set())
        yield from ((event, user) for user in users | ({OWNER, ADMIN} if LEADERS in heard_by else set()))
        if event.ev in ("member_leave", "member_kicked"):
            members -= named


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_hears_what_the_rows_say_and_nothing_else(device: str) -> None:
    expected = [
        (event, row.callback, user)
        for event, user in _audience()
        for row in ROWS
        if row.event == event.ev and (row.for_named if user in _named(event) else row.for_others)
    ]
    heard = [(h.event.n, h.callback, h.user) for h in STAGE.heard_of_groups if h.device == device]
    assert sorted(heard) == sorted((event.n, callback, user) for event, callback, user in expected)
    for user in USERS:
        mine = [n for n, _, whose in heard if whose == user]
        assert mine == sorted(mine)


def test_events_for_all_are_chained_and_the_others_are_those_the_page_names() -> None:
    alone = {sent.event.ev for sent in SENT if Topics().group_events(GID) not in sent.topics}
    assert alone == NOT_FOR_ALL
    text = PAGE.read_text(encoding="utf-8")
    assert "`group_created`, `application` and `application_done`" in text
    chain = [sent.event for sent in SENT if sent.event.ev not in NOT_FOR_ALL]
    assert [event.p for event in chain] == [0, *(event.n for event in chain[:-1])]
    assert {sent.event.p for sent in SENT if sent.event.ev in NOT_FOR_ALL} == {0}


def test_the_matrix_has_every_request_about_one_group() -> None:
    assert {op for op, _ in MAY} == {kind.op for kind in GROUP_REQUESTS if issubclass(kind, OnGroup)}
