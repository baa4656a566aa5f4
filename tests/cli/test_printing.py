"""What is printed: any MessagePack value as JSON, any callback as a sentence, nothing a terminal would act on."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from typing import Any, get_type_hints

import msgpack
import pytest

from ringline.data import Undecodable, unpack_data
from ringline.events import InvitationCreated, InvitationDropped, InvitationMissed, InviteeRejected, NewInvitation
from ringline.group_events import (
    AdministratorGranted,
    AdministratorRevoked,
    AllGroupMembersMuted,
    ApplicationProcessed,
    GroupAttributeChanged,
    GroupCounterChanged,
    GroupCreated,
    GroupDismissed,
    GroupInfoChanged,
    GroupNews,
    JoinApplication,
    MemberEnter,
    MemberInfoChanged,
    MemberInvited,
    MemberKicked,
    MemberLeave,
    QuitFromGroup,
)
from ringline.group_listener import GroupListener
from ringline.listener import SignalingListener
from ringline_broker.cli.exits import Failure
from ringline_broker.cli.printing import as_json, as_text, printable
from ringline_broker.cli.telling import sentence
from ringline_broker.cli.values import parse_data

CALLBACKS = [
    method
    for listener in (SignalingListener, GroupListener)
    for name, method in vars(listener).items()
    if name.startswith("on_")
]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        ({"a": [1, 2.5, True, None, "x"]}, '{"a": [1, 2.5, true, null, "x"]}'),
        (b"\x00\xff", '{"$bytes": "AP8="}'),
        ([{"deep": (b"",)}], '[{"deep": [{"$bytes": ""}]}]'),
        (math.inf, '{"$float": "inf"}'),
        (math.nan, '{"$float": "nan"}'),
        ({1: "int", None: "none"}, '{"1": "int", "null": "none"}'),
        ({b"k": "bytes"}, '{"{\\"$bytes\\": \\"aw==\\"}": "bytes"}'),
        (Undecodable(b"\xc1"), '{"$undecodable": "wQ=="}'),
        (msgpack.ExtType(5, b"x"), '{"$ext": "ExtType(code=5, data=b\'x\')"}'),
        ("\x1b[2J\u202e", '"\\u001b[2J\\u202e"'),
    ],
)
def test_any_value_is_json(value: object, shown: str) -> None:
    assert as_json(value) == shown
    json.loads(as_json(value))
    assert as_text(value).isprintable()


def test_what_is_nested_too_deeply() -> None:
    packed = b"\x91" * 1_000 + b"\xc0"
    value = unpack_data(packed)

    json.loads(as_json(value))
    assert as_text(value)


def test_letters_of_every_script_are_shown_as_they_are() -> None:
    assert as_text("blå 電話 ☎") == '"blå 電話 ☎"'


def test_nothing_a_terminal_acts_on() -> None:
    assert printable("a\x07\x1b\x9b\u202e\u2028b\n") == "a\\u0007\\u001b\\u009b\\u202e\\u2028b\\u000a"


def test_data_can_be_given_as_it_is_shown() -> None:
    assert parse_data('{"a": {"$bytes": "AP8="}, "b": {"$bytes": 1}}') == {"a": b"\x00\xff", "b": {"$bytes": 1}}
    assert parse_data("") is None
    assert parse_data("null") is None
    with pytest.raises(Failure):
        parse_data("text")


@pytest.mark.parametrize("method", CALLBACKS, ids=lambda method: str(method.__name__))
def test_every_callback_has_a_sentence(method: Callable[..., None]) -> None:
    kind = get_type_hints(method)["event"]
    event = kind(**{name: _sample(hint) for name, hint in get_type_hints(kind).items()})
    name = method.__name__.removeprefix("on_")

    said = sentence(name, event)
    assert not said.startswith(name.replace("_", " ") + ": {")
    assert as_text(event) not in said
    json.loads(as_json(event))


def _sample(hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return hint(**{name: _sample(one) for name, one in get_type_hints(hint).items()})  # type: ignore[operator] # pyright: ignore[reportCallIssue]
    samples = {"dict": {"seat": "bob"}, "tuple": ("bob", "carol"), "float": 1.0, "int": 1, "bool": False}
    return next((value for kind, value in samples.items() if kind in str(hint)), "word")


def group_event(kind: type[GroupNews], **more: Any) -> str:
    return sentence("x", kind(group_id="g", **more))


def test_sentences_of_groups() -> None:
    assert group_event(GroupCreated, preset="live", name="") == "group g: created as live"
    by_this = group_event(GroupCreated, preset="live", name="choir", by="alice", this_device=True)
    assert by_this == "group g: created as live, choir (by alice, this device)"
    assert group_event(GroupDismissed, by="alice") == "group g: dismissed (by alice)"
    assert group_event(MemberEnter, users=("bob",), by="bob") == "group g: bob joined (by bob)"
    assert group_event(MemberInvited, users=("bob", "carol"), by="alice") == "group g: bob, carol added (by alice)"
    assert group_event(MemberLeave, users=("bob",)) == "group g: bob quit"
    assert group_event(MemberKicked, users=("bob",), reason="") == "group g: bob removed"
    assert group_event(MemberKicked, users=("bob",), reason="late") == "group g: bob removed, late"
    member = functools.partial(group_event, MemberInfoChanged, user="bob")
    assert member(card="Bobby", custom={"a": 1}) == 'group g: bob is now "Bobby", has custom {"a": 1}'
    assert member(muted=60) == "group g: bob is muted for 60 s"
    assert member(muted=0) == "group g: bob is muted no longer"
    assert group_event(AllGroupMembersMuted, muted=False) == "group g: all members muted no longer"
    changed = group_event(GroupInfoChanged, name="", max_members=0, owner="bob")
    assert changed == 'group g: now name "", max members 0, owner "bob"'
    attributes = group_event(GroupAttributeChanged, changed={"a": [1]}, deleted=("b",), version=7)
    assert attributes == "group g: attributes, version 7: a = [1], b deleted"
    assert group_event(GroupCounterChanged, key="likes", value=-1) == "group g: counter likes = -1"
    assert group_event(JoinApplication, user="bob", text="") == "group g: bob applies"
    processed = group_event(ApplicationProcessed, user="bob", accepted=False, text="full")
    assert processed == 'group g: bob refused, says "full"'
    assert group_event(AdministratorGranted, users=("bob",)) == "group g: bob made administrator"
    assert group_event(AdministratorRevoked, users=("bob",)) == "group g: bob made administrator no longer"
    assert group_event(QuitFromGroup, reason="gone") == "group g: you are a member no longer, gone"


def test_sentences() -> None:
    new = NewInvitation(invite_id="i", inviter="alice", invitees=("bob", "carol"), data=None, time_left=None)
    assert sentence("x", new) == "ringing: alice invites you and 1 other (id i)"
    grouped = dataclasses.replace(new, group_id="g", time_left=29.6)
    assert sentence("x", grouped) == "ringing: alice invites you and 1 other in group g (id i, 30 s left)"
    other = dataclasses.replace(grouped, to_me=False)
    assert sentence("x", other) == "not for you: alice invites bob, carol in group g (id i, 30 s left)"
    told = dataclasses.replace(other, notice=True)
    assert sentence("x", told) == "notice, not for you: alice tells bob, carol in group g (id i)"
    dropped = InvitationDropped(invite_id="i", invitees=("bob",), reason="left")
    assert sentence("x", dropped) == "dropped for bob, left (id i)"
    created = InvitationCreated(invite_id="i", invitees=("bob",), data=None, group_id="g")
    assert sentence("x", created) == "inviting bob in group g (id i)"
    crossing = dataclasses.replace(new, crossing=True, time_left=29.6)
    assert sentence("x", crossing).endswith("(id i, 30 s left); your own to them gives way")
    notice = dataclasses.replace(new, notice=True, data={"missed": 2})
    assert sentence("x", notice) == 'notice: alice tells you and 1 other (id i) data: {"missed": 2}'
    rejected = InviteeRejected(
        invite_id="i", invitee="bob", device=None, this_device=False, data=None, reason="busy", text="later"
    )
    assert sentence("x", rejected) == "rejected by bob, busy, later (id i)"
    late = "timed_out"
    missed = InvitationMissed(
        invite_id="i", inviter="alice", data=None, part=late, device=None, this_device=False, outcome=late
    )
    assert sentence("x", missed) == "missed, timed_out: invitation of alice (id i)"
    elsewhere = dataclasses.replace(missed, part="accepted", device="phone")
    assert sentence("x", elsewhere) == "accepted elsewhere on device phone: invitation of alice (id i)"
