"""Hypothesis strategies for messages, derived from their fields' kinds as the decoder is."""

from typing import Any, Final

from hypothesis import strategies as st

from ringline.protocol.answers import ANSWER, Answer
from ringline.protocol.codec import Codec, Nested, WireField, pack, unpack
from ringline.protocol.events import EVENTS, Event, event_map
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_states import MEMBER
from ringline.protocol.limits import MAX_MESSAGE_BYTES, Anything, Bin, Flag, Id, Int, Kind, ListOf, MapOf, Text
from ringline.protocol.requests import REQUESTS
from ringline.protocol.shapes import GroupEvent, Request

FEW: Final = 3
"""How long a list or map gets, and SHORT a text or bin; the limits themselves are the vectors' business."""
SHORT: Final = 16

_CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/+#")
IDS = st.text(_CHARACTERS, min_size=1, max_size=SHORT).map(lambda text: text.replace("$", "€"))
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=4)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of one kind."""
    match kind:
        case Id():
            return IDS
        case Text():
            return _TEXTS
        case Bin(limit, exact):
            return st.binary(min_size=limit if exact else 0, max_size=min(limit, SHORT))
        case Int(low, high):
            return st.integers(low, high)
        case Flag():
            return st.booleans()
        case _:
            return _made_of_others(kind)


def _made_of_others(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case ListOf(item):
            return st.lists(values(item), max_size=FEW).map(tuple)
        case MapOf(item):
            return st.dictionaries(IDS, values(item), max_size=FEW)
        case Nested(codec):
            return messages(codec)
        case Anything("map, an event"):
            return EVENT.map(_as_read)
        case Anything("map, a member"):
            return messages(MEMBER).map(lambda member: _reread(MEMBER.to_map(member)))
        case _:
            raise AssertionError(f"no strategy for {kind}")


def _field(field: WireField) -> st.SearchStrategy[Any]:
    return values(field.kind) if field.required else st.just(field.default) | values(field.kind)


def messages(codec: Codec[Any]) -> st.SearchStrategy[Any]:
    """Messages of one class."""
    return st.builds(codec.message, **{field.attribute: _field(field) for field in codec.fields})


def _as_read(event: Event | GroupEvent) -> object:
    return _reread(event_map(event))


def _reread(raw: dict[str, object]) -> object:
    return unpack(pack(raw), MAX_MESSAGE_BYTES)


REQUEST: st.SearchStrategy[Request] = st.one_of([messages(codec) for codec in REQUESTS.values()])
ALL_EVENTS: Final[dict[str, Codec[Any]]] = {**EVENTS, **GROUP_EVENTS}
EVENT: st.SearchStrategy[Event | GroupEvent] = st.one_of([messages(codec) for codec in ALL_EVENTS.values()])
ANSWERS: st.SearchStrategy[Answer] = messages(ANSWER)
