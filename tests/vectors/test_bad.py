"""The bad vectors: refused with the code and the field that are said there, and never with another exception."""

from typing import Any

import pytest

from ringline.protocol.answers import decode_answer
from ringline.protocol.errors import BY_NAME, ProtocolError
from ringline.protocol.events import decode_event, decode_events
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.requests import REQUESTS, RequestRefused, decode_request
from tests.vectors import second_decoder
from tests.vectors.files import load

REQUESTS_REFUSED = [*load("bad_requests"), *load("bad_group_requests")]
HEARD_BADLY = [*load("bad_events"), *load("bad_group_events")]


@pytest.mark.parametrize("vector", REQUESTS_REFUSED, ids=lambda v: v["name"])
def test_a_bad_request_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused) as refused:
        decode_request(bytes.fromhex(vector["hex"]))
    assert {**_fault(refused.value), "replies": refused.value.reply_to is not None} == vector["expected"]


@pytest.mark.parametrize("vector", HEARD_BADLY, ids=lambda v: f"{v['topic']}: {v['name']}")
def test_a_bad_event_or_answer_is_refused(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["hex"])
    assert (_heard(payload) if vector["topic"] == "evt" else _answered(payload)) == vector["expected"]


def _fault(fault: ProtocolError) -> dict[str, Any]:
    return {"code": fault.code.code, "name": fault.code.name, "field": fault.field}


def _answered(payload: bytes) -> dict[str, Any]:
    with pytest.raises(ProtocolError) as refused:
        decode_answer(payload)
    return _fault(refused.value)


def _heard(payload: bytes) -> dict[str, Any]:
    """The first fault; and how many events can be read, where the message can."""
    try:
        entries = decode_events(payload)
    except ProtocolError as fault:
        return _fault(fault)
    faults: list[ProtocolError] = []
    for entry in entries:
        try:
            decode_event(entry)
        except ProtocolError as fault:
            faults.append(fault)
    assert faults, "all of it can be read"
    return {**_fault(faults[0]), "readable": len(entries) - len(faults)}


def test_whoever_can_be_told_is_told_by_the_names_in_the_request() -> None:
    told = [vector for vector in REQUESTS_REFUSED if vector["expected"]["replies"]]
    for vector in told:
        with pytest.raises(RequestRefused) as refused:
            decode_request(bytes.fromhex(vector["hex"]))
        assert refused.value.reply_to == ("d1", bytes(range(1, 9)))


def test_every_required_field_is_missing_once() -> None:
    missing: set[tuple[str, str]] = set()
    for vector in REQUESTS_REFUSED:
        try:
            request = second_decoder.decode(bytes.fromhex(vector["hex"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(request, dict) and vector["expected"]["field"] not in request:
            missing.add((str(request.get("op")), vector["expected"]["field"]))
    own = {
        (op, field.key)
        for op, codec in REQUESTS.items()
        for field in codec.fields
        if field.required and field.key not in ("id", "dev", "iid")
    }
    assert own | {("get", "id"), ("get", "dev"), ("get", "iid"), ("None", "op")} <= missing


def test_every_field_that_an_event_of_a_group_needs_is_missing_once() -> None:
    missing: set[tuple[str, str]] = set()
    for vector in load("bad_group_events"):
        if vector["topic"] == "evt":
            for event in second_decoder.decode(bytes.fromhex(vector["hex"])):
                if vector["expected"]["field"] not in event:
                    missing.add((event["ev"], vector["expected"]["field"]))
    needed = {(ev, field.key) for ev, codec in GROUP_EVENTS.items() for field in codec.fields if field.required}
    assert needed <= missing


def test_codes_and_names_are_those_of_the_registry() -> None:
    for vector in (*REQUESTS_REFUSED, *HEARD_BADLY):
        expected = vector["expected"]
        assert BY_NAME[expected["name"]].code == expected["code"]


def test_there_are_enough_of_them_and_their_names_are_unique() -> None:
    assert len(REQUESTS_REFUSED) >= 40
    assert len({vector["name"] for vector in REQUESTS_REFUSED}) == len(REQUESTS_REFUSED)
    assert len({(vector["topic"], vector["name"]) for vector in HEARD_BADLY}) == len(HEARD_BADLY)
