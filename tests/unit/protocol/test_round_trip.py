"""What is encoded is decoded as it was, for every message."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.protocol.answers import ANSWER, Answer, decode_answer, encode_answer
from ringline.protocol.codec import Codec, pack, unpack
from ringline.protocol.events import Event, decode_event, decode_events, event_map, join_events
from ringline.protocol.group_states import MEMBER
from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline.protocol.requests import REQUESTS, decode_request, encode_request
from ringline.protocol.shapes import GroupEvent
from tests.unit.protocol.strategies import ALL_EVENTS, ANSWERS, EVENT, messages

SOME = settings(max_examples=40)


@pytest.mark.parametrize("op", REQUESTS)
@SOME
@given(data=st.data())
def test_a_request(op: str, data: st.DataObject) -> None:
    request = data.draw(messages(REQUESTS[op]))
    payload = encode_request(request)
    assert decode_request(payload) == request
    assert set(_map(payload)) == _not_default(REQUESTS[op], request)


@pytest.mark.parametrize("ev", ALL_EVENTS)
@SOME
@given(data=st.data())
def test_an_event(ev: str, data: st.DataObject) -> None:
    event = data.draw(messages(ALL_EVENTS[ev]))
    [raw] = decode_events(join_events([pack(event_map(event))]))
    assert decode_event(raw) == event
    assert set(_map(pack(raw))) == _not_default(ALL_EVENTS[ev], event)


def _map(payload: bytes) -> dict[str, object]:
    raw = unpack(payload, MAX_MESSAGE_BYTES)
    assert isinstance(raw, dict)
    return raw


def _not_default(codec: Codec[Any], message: object) -> set[str]:
    """What is sent of a message: its name, and what does not hold its default."""
    held = {field.key for field in codec.fields if field.required or getattr(message, field.attribute) != field.default}
    return held if codec.tag is None else held | {codec.tag[0]}


@SOME
@given(events=st.lists(EVENT, max_size=18))
def test_an_events_message(events: list[Event | GroupEvent]) -> None:
    payload = join_events([pack(event_map(event)) for event in events])
    assert [decode_event(raw) for raw in decode_events(payload)] == events


@SOME
@given(answer=ANSWERS)
def test_an_answer(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer
    assert set(_map(encode_answer(answer))) == _not_default(ANSWER, answer)


@SOME
@given(data=st.data())
def test_a_member_in_an_answer(data: st.DataObject) -> None:
    member = data.draw(messages(MEMBER))
    answer = decode_answer(encode_answer(Answer(re=bytes(8), members=(MEMBER.to_map(member),))))
    assert [MEMBER.decode(raw) for raw in answer.members] == [member]


def test_an_event_of_a_group_that_nobody_knows_is_read_as_a_plain_one() -> None:
    event = decode_event({"ev": "painted", "gid": "g", "n": 5, "p": 4, "colour": "red"})
    assert type(event) is GroupEvent
    assert (event.gid, event.n, event.p) == ("g", 5, 4)
