"""Mutations of the requests among the vectors: of their bytes, and of what the bytes mean."""

import random
from collections.abc import Callable
from typing import Any, Final

import msgpack

from tests.vectors.files import load

VECTOR_ID: Final = bytes.fromhex("0102030405060708")
"""What every vector has for an id; each mutation gets one of its own before it is mutated."""
_LONGEST: Final = 30_000

_ODD_VALUES: Final[tuple[object, ...]] = (
    None, True, 0, -1, 2**53, 2**63, 1.5, float("nan"), "", "x" * 65, "a/b", "$sys", "\x00", "e\u0301", b"",
    b"\xff" * 9, b"\0" * 9_000, [], [[]], [None] * 600, ["bobby"] * 301, ["bobby", 7], {}, {"a": {"b": {"c": [1]}}},
    {1: 2}, {"i1": "x"},
)  # fmt: skip
_FIELDS: Final = (
    "op", "id", "dev", "iid", "to", "timeout", "data", "answers", "audience", "online_only", "why", "text", "known",
    "since", "only", "next", "new",
)  # fmt: skip
_OPERATIONS: Final = ("invite", "ringing", "accept", "reject", "cancel", "modify", "get", "sync", "Invite", "hangup")


def vectors() -> list[bytes]:
    """All requests, good and bad, that fit into a packet."""
    payloads = [bytes.fromhex(vector["hex"]) for name in ("good_requests", "bad_requests") for vector in load(name)]
    return [payload for payload in payloads if len(payload) <= _LONGEST]


class Mutator:
    """Mutates the vectors, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._vectors = vectors()
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            *[self._replace] * 8, self._remove, self._remove, self._keep,
            self._flip, self._flip, self._flip, self._cut, self._drop, self._insert, self._repeat, self._splice,
        )  # fmt: skip

    def next(self) -> bytes:
        """One more."""
        payload = self._random.choice(self._vectors)
        payload = payload.replace(VECTOR_ID, self._random.randbytes(8))
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            payload = self._random.choice(self._ways)(payload)
        return payload[:_LONGEST]

    def _place(self, payload: bytes) -> int:
        return self._random.randrange(len(payload) + 1)

    def _flip(self, payload: bytes) -> bytes:
        if not payload:
            return payload
        at = self._random.randrange(len(payload))
        return payload[:at] + bytes((payload[at] ^ 1 << self._random.randrange(8),)) + payload[at + 1 :]

    def _cut(self, payload: bytes) -> bytes:
        return payload[: self._place(payload)]

    def _drop(self, payload: bytes) -> bytes:
        at = self._place(payload)
        return payload[:at] + payload[at + self._random.randint(1, 4) :]

    def _insert(self, payload: bytes) -> bytes:
        at = self._place(payload)
        return payload[:at] + self._random.randbytes(self._random.randint(1, 4)) + payload[at:]

    def _repeat(self, payload: bytes) -> bytes:
        start, end = sorted((self._place(payload), self._place(payload)))
        return payload[:end] + payload[start:]

    def _splice(self, payload: bytes) -> bytes:
        other = self._random.choice(self._vectors)
        return payload[: self._place(payload)] + other[self._place(other) :]

    def _keep(self, payload: bytes) -> bytes:
        return payload

    def _replace(self, payload: bytes) -> bytes:
        """Another value in a field."""
        meaning = _meaning_of(payload)
        if meaning is None:
            return payload
        field = self._random.choice(_FIELDS)
        values = (*_ODD_VALUES, *(_OPERATIONS if field == "op" else ()))
        return bytes(msgpack.packb({**meaning, field: self._random.choice(values)}))

    def _remove(self, payload: bytes) -> bytes:
        """A field less."""
        meaning = _meaning_of(payload)
        if not meaning:
            return payload
        meaning.pop(self._random.choice(list(meaning)))
        return bytes(msgpack.packb(meaning))


def _meaning_of(payload: bytes) -> dict[Any, Any] | None:
    try:
        meaning = msgpack.unpackb(payload, strict_map_key=False)
        msgpack.packb(meaning)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError, OverflowError):
        return None
    return meaning if isinstance(meaning, dict) else None
