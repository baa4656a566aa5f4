"""What is printed: any MessagePack value as JSON, any callback as a sentence, nothing a terminal would act on."""

import dataclasses
import json
import math
from typing import Any, get_type_hints

import msgpack
import pytest

from ringline.data import Undecodable, unpack_data
from ringline.events import InvitationMissed, InviteeRejected, NewInvitation
from ringline.listener import SignalingListener
from ringline_broker.cli.exits import Failure
from ringline_broker.cli.printing import as_json, as_text, printable
from ringline_broker.cli.telling import sentence
from ringline_broker.cli.values import parse_data


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


@pytest.mark.parametrize("method", [name for name in vars(SignalingListener) if name.startswith("on_")])
def test_every_callback_has_a_sentence(method: str) -> None:
    kind = get_type_hints(getattr(SignalingListener, method))["event"]
    values: dict[str, Any] = {name: _sample(str(hint)) for name, hint in get_type_hints(kind).items()}
    name = method.removeprefix("on_")

    assert not sentence(name, kind(**values)).startswith(name.replace("_", " ") + ": {")


def _sample(hint: str) -> object:
    samples = {"tuple": ("bob", "carol"), "float": 1.0, "int": 1, "bool": False}
    return next((value for kind, value in samples.items() if kind in hint), "word")


def test_sentences() -> None:
    new = NewInvitation(invite_id="i", inviter="alice", invitees=("bob", "carol"), data=None, time_left=None)
    assert sentence("x", new) == "ringing: alice invites you and 1 other (id i)"
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
