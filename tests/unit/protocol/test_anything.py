"""Whatever bytes come: a message is read, or refused as the protocol says, and nothing else happens."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ringline.protocol.answers import Answer, Refusal, decode_answer, encode_answer
from ringline.protocol.blocklist_requests import BLOCKLIST_REQUESTS
from ringline.protocol.codec import pack
from ringline.protocol.errors import ProtocolError
from ringline.protocol.events import Event, decode_event, decode_events
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_requests import GROUP_REQUESTS
from ringline.protocol.requests import RequestRefused, decode_request, encode_request
from ringline.protocol.shapes import GroupEvent, Request
from tests.unit.protocol.strategies import IDS
from tests.vectors.files import load

FILES = {
    "req": ("good_requests", "good_group_requests"),
    "evt": ("good_events", "good_group_events"),
    "answer": ("good_answers",),
}
GOOD = {
    topic: [bytes.fromhex(vector["hex"]) for name in names for vector in load(name) if len(vector["hex"]) < 1_000]
    for topic, names in FILES.items()
}
MORE_OPS = [*(request.op for request in BLOCKLIST_REQUESTS), *(request.op for request in GROUP_REQUESTS)]
KEYS = [
    "op", "ev", "id", "dev", "iid", "to", "timeout", "data", "answers", "audience", "online_only", "why", "text",
    "known", "since", "only", "next", "n", "p", "ts", "by", "re", "end", "ttl", "off", "out", "err", "state", "evs",
    "gone", "more", "code", "name", "field", "new", "gid", "partial", "preset", "intro", "notice", "face", "custom",
    "max", "join", "ban", "user", "role", "card", "s", "on", "put", "drop", "clear", "at", "key", "add", "ok", "value",
    "muted", "owner", "groups", "group", "members", "wait", "who", "count", "attrs", "counters",
    "users",
]  # fmt: skip
NAMES = [
    "invite",
    "ringing",
    "accept",
    "reject",
    "cancel",
    "modify",
    "get",
    "sync",
    "invited",
    "ended",
    "i1",
    "parties",
    *MORE_OPS,
    *GROUP_EVENTS,
    "g1",
]


def _wrap(leaf: object, depth: int) -> object:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


_leaf = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.sampled_from(NAMES)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | IDS
    | st.binary(max_size=12)
    | st.just(bytes(8))
)
_keys = st.sampled_from(KEYS) | st.text(st.characters(codec="utf-8"), max_size=70) | st.binary(max_size=3)
_value = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=6), max_leaves=30
)
_nested = st.builds(_wrap, _leaf, st.integers(0, 14))
_maps = st.dictionaries(_keys, _value | _nested, max_size=10)


@st.composite
def _mutated(draw: st.DrawFn, payloads: list[bytes]) -> bytes:
    """A good payload with a few bytes cut out, put in or changed."""
    payload = bytearray(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        cut = draw(st.integers(0, 3))
        payload[at : at + cut] = draw(st.binary(max_size=3))
    return bytes(payload)


@given(payload=st.binary(max_size=300) | _mutated(GOOD["req"]))
def test_any_bytes_as_a_request(payload: bytes) -> None:
    _read_or_refuse(payload)


@given(raw=_maps, op=st.sampled_from([*NAMES[:8], *MORE_OPS]), named=st.booleans())
@example(raw={"\U0001f600" * 64: _wrap(None, 9)}, op="get", named=True)
def test_any_map_as_a_request(raw: dict[Any, Any], op: str, named: bool) -> None:
    header = {"op": op, "id": bytes(8), "dev": "d1", "iid": "i1", "gid": "g1"} if named else {}
    request = _read_or_refuse(pack({**raw, **header}))
    if named and not isinstance(request, Request):
        assert request == ("d1", bytes(8)), "the refusal cannot be told, though the request says to whom"


def _read_or_refuse(payload: bytes) -> Request | tuple[str, bytes] | None:
    """The request, and the same again from its own bytes; or whom to tell of the refusal, which can be told."""
    try:
        request = decode_request(payload)
    except RequestRefused as refused:
        code = refused.code
        refusal = Refusal(code=code.code, name=code.name, text=refused.text, field=refused.field)
        told = decode_answer(encode_answer(Answer(re=bytes(8), err=refusal)))
        assert told.err == refusal
        return refused.reply_to
    assert decode_request(encode_request(request)) == request
    return request


@given(payload=st.binary(max_size=300) | _mutated(GOOD["evt"]))
def test_any_bytes_as_events(payload: bytes) -> None:
    try:
        entries = decode_events(payload)
    except ProtocolError:
        return
    for entry in entries:
        _read_event(entry)


@given(entry=_maps | _value)
def test_any_value_as_an_event(entry: object) -> None:
    _read_event(entry)


def _read_event(entry: object) -> None:
    try:
        event = decode_event(entry)
    except ProtocolError:
        return
    assert isinstance(event, Event | GroupEvent)


@given(payload=st.binary(max_size=300) | _mutated(GOOD["answer"]) | _maps.map(pack))
def test_any_bytes_as_an_answer(payload: bytes) -> None:
    try:
        answer = decode_answer(payload)
    except ProtocolError:
        return
    assert isinstance(answer, Answer)
