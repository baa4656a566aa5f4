"""The good vectors: our decoders give what each means, and a second decoder that knows nothing of ours agrees."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringline.protocol.answers import ANSWER, Answer, Refusal, State, decode_answer, encode_answer
from ringline.protocol.codec import Codec, pack
from ringline.protocol.events import EVENTS, Event, decode_event, decode_events, event_map, join_events
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_states import GROUP, MEMBER
from ringline.protocol.requests import REQUESTS, decode_request, encode_request
from ringline.protocol.shapes import GroupEvent, Request
from tests.vectors import second_decoder
from tests.vectors.files import GOOD_FILES, load

GOOD = [vector for name in GOOD_FILES for vector in load(name)]
CANONICAL = [vector for vector in GOOD if vector.get("canonical", True)]
_PLAIN_EVENT = Codec(Event)
_ALL_EVENTS: dict[str, Codec[Any]] = {**EVENTS, **GROUP_EVENTS}

every_vector = pytest.mark.parametrize("vector", GOOD, ids=lambda v: f"{v['topic']}: {v['name']}")
every_canonical = pytest.mark.parametrize("vector", CANONICAL, ids=lambda v: f"{v['topic']}: {v['name']}")

Message = Request | Answer | list[Event | GroupEvent]


def _decode(topic: str, payload: bytes) -> Message:
    match topic:
        case "req":
            return decode_request(payload)
        case "answer":
            return decode_answer(payload)
        case _:
            return [decode_event(one) for one in decode_events(payload)]


def _encode(message: Message) -> bytes:
    match message:
        case Request():
            return encode_request(message)
        case Answer():
            return encode_answer(message)
        case _:
            return join_events([pack(event_map(event)) for event in message])


def _meaning(message: Message) -> Any:
    match message:
        case Request():
            return _as_json(REQUESTS[message.op].to_map(message))
        case Answer():
            return _as_json(ANSWER.to_map(message))
        case _:
            return [_as_json(_ALL_EVENTS.get(event.ev, _PLAIN_EVENT).to_map(event)) for event in message]


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: _as_json(one) for key, one in value.items()}
    return [_as_json(one) for one in value] if isinstance(value, list | tuple) else value


@every_vector
def test_our_decoder_gives_the_meaning(vector: dict[str, Any]) -> None:
    message = _decode(vector["topic"], bytes.fromhex(vector["hex"]))
    assert _meaning(message) == vector["means"]


@every_canonical
def test_our_encoder_gives_the_bytes(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["hex"])
    assert _encode(_decode(vector["topic"], payload)) == payload


@every_vector
def test_the_second_decoder_gives_the_same(vector: dict[str, Any]) -> None:
    assert second_decoder.decode(bytes.fromhex(vector["hex"])) == _all_of(vector["means"], vector.get("extra"))


def _all_of(means: Any, extra: Any) -> Any:
    if extra is None:
        return means
    if isinstance(means, list):
        return [{**one, **more} for one, more in zip(means, extra, strict=True)]
    return {**means, **extra}


def test_the_second_decoder_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(second_decoder.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert imported == {"struct", "typing"}


def _held(vectors: list[dict[str, Any]], topic: str) -> Iterator[dict[str, Any]]:
    """Every message in the vectors of a topic that holds nothing nobody knows."""
    for vector in vectors:
        if vector["topic"] == topic:
            yield from vector["means"] if topic == "evt" else (vector["means"],)


def _parts(*keys: str) -> list[Any]:
    """What stands under these keys in the answers."""
    answers = list(_held(CANONICAL, "answer"))
    found = [{"": answer} for answer in answers]
    for key in keys:
        found = [{"": holder[""][key]} for holder in found if key in holder[""]]
    return [holder[""] for holder in found]


KINDS: list[tuple[str, Codec[Any], list[dict[str, Any]]]] = [
    *((op, codec, [m for m in _held(CANONICAL, "req") if m["op"] == op]) for op, codec in REQUESTS.items()),
    *((ev, codec, [m for m in _held(CANONICAL, "evt") if m.get("ev") == ev]) for ev, codec in _ALL_EVENTS.items()),
    ("answer", ANSWER, _parts()),
    ("refusal", Codec(Refusal), _parts("err")),
    ("state", Codec(State), _parts("state")),
    ("state in a refusal", Codec(State), _parts("err", "state")),
    ("group", GROUP, _parts("group")),
    ("member", MEMBER, [member for members in _parts("members") for member in members]),
]


@pytest.mark.parametrize(("name", "codec", "messages"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_message_is_there_with_the_least_and_with_every_field(
    name: str, codec: Codec[Any], messages: list[dict[str, Any]]
) -> None:
    tag = {codec.tag[0]} if codec.tag else set[str]()
    held = [set(message) for message in messages]
    assert tag | {field.key for field in codec.fields if field.required} in held, f"no {name} with the least"
    assert tag | {field.key for field in codec.fields} in held, f"no {name} with every field"


def test_names_are_unique() -> None:
    names = [(vector["topic"], vector["name"]) for vector in GOOD]
    assert len(names) == len(set(names))
