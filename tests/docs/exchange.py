"""The worked exchange: a call, a late answer and a sync, played by the real extension and printed in hex."""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from ringline.protocol.requests import Accept, Invite, Sync, encode_request
from ringline.protocol.shapes import Request
from ringline.protocol.topics import Topics
from tests.docs.annotate import annotate
from tests.docs.play import Extension, Message
from tests.vectors.second_decoder import decode

BUDGET_BYTES: Final = 600
_ALICE, _BOBBY = "alice", "bobby"
_INVITE_ID: Final = "Qm9iIHJpbmdzIHlv"
_INVITE: Final = Invite(id=bytes.fromhex("0102030405060708"), dev="a1b2c3d4", iid=_INVITE_ID, to=(_BOBBY,))
_ACCEPT: Final = Accept(id=bytes.fromhex("1112131415161718"), dev="e5f6a7b8", iid=_INVITE_ID)
_LATE: Final = Accept(id=bytes.fromhex("2122232425262728"), dev="c9d0e1f2", iid=_INVITE_ID)
_KNOWN: Final = {_INVITE_ID: 1}
_SYNC: Final = Sync(id=bytes.fromhex("3132333435363738"), dev="f3a4b5c6", known=_KNOWN, since=1_750_000_000_000)


class Said(NamedTuple):
    """A message of the exchange, with what it is."""

    what: str
    message: Message


@cache
def call() -> tuple[Said, ...]:
    """The six messages of a call, then a late answer and a sync with what they are answered."""
    extension = Extension()
    said = [*_asked(extension, "invite", _ALICE, _INVITE)]
    extension.clock.advance(1_500)
    said += _asked(extension, "accept", _BOBBY, _ACCEPT)
    extension.clock.advance(200)
    said += _asked(extension, "accept, too late, by another device of the same user", _BOBBY, _LATE)
    said += _asked(extension, "sync by another device of the inviter that lost its connection", _ALICE, _SYNC)
    return tuple(said)


def _asked(extension: Extension, what: str, user: str, request: Request) -> Iterator[Said]:
    payload = encode_request(request)
    yield Said(what, Message(Topics().requests(user), payload))
    for message in extension.ask(user, payload):
        held = decode(message.payload)
        yield Said("refusal" if "err" in held else held[0]["ev"] if isinstance(held, list) else "answer", message)


def sizes() -> list[int]:
    """Bytes of payload of the call's six messages."""
    return [len(said.message.payload) for said in call()[:6]]


def exchange() -> str:
    """The page's section."""
    six = enumerate(call()[:6], 1)
    rows = [f"| {n} | {s.what} | `{s.message.topic}` | {len(s.message.payload)} |" for n, s in six]
    table = ["| | message | topic | bytes of payload |", "|---|---|---|---|", *rows]
    total = f"| | **all six** | budget: {BUDGET_BYTES} | **{sum(sizes())}** |"
    before: dict[bytes, int] = {}
    parts = [_shown(n, said, before) for n, said in enumerate(call(), 1)]
    return "\n".join([*table, total, "", "\n\n".join(parts)])


def _shown(n: int, said: Said, before: dict[bytes, int]) -> str:
    payload = said.message.payload
    title = f"**{n}. {said.what}**, on `{said.message.topic}`, {len(payload)} bytes"
    first = before.setdefault(payload, n)
    if first != n:
        return f"{title}: the same as {first}."
    return f"{title}:\n\n```text\n{annotate(payload, in_full=n == 1)}\n```"
