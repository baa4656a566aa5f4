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
    "since", "only", "next", "new", "gid", "user", "users", "role", "preset", "n", "put", "del", "s", "on",
)  # fmt: skip
_OPERATIONS: Final = ("invite", "ringing", "accept", "reject", "cancel", "modify", "get", "sync", "Invite", "hangup")


def vectors(names: tuple[str, ...] = ("good_requests", "bad_requests")) -> list[bytes]:
    """All requests of these files that fit into a packet."""
    payloads = [bytes.fromhex(vector["hex"]) for name in names for vector in load(name)]
    return [payload for payload in payloads if len(payload) <= _LONGEST]


class Bytes:
    """Mutations of bytes, whatever they mean.

    Args:
        chance: what decides.
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance

    def place(self, data: bytes) -> int:
        """A place in it, the end included."""
        return self._random.randrange(len(data) + 1)

    def flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._random.randrange(8),)) + data[at + 1 :]

    def cut(self, data: bytes) -> bytes:
        return data[: self.place(data)]

    def drop(self, data: bytes) -> bytes:
        at = self.place(data)
        return data[:at] + data[at + self._random.randint(1, 4) :]

    def insert(self, data: bytes) -> bytes:
        at = self.place(data)
        return data[:at] + self._random.randbytes(self._random.randint(1, 4)) + data[at:]

    def repeat(self, data: bytes) -> bytes:
        start, end = sorted((self.place(data), self.place(data)))
        return data[:end] + data[start:]

    def splice(self, data: bytes, other: bytes) -> bytes:
        return data[: self.place(data)] + other[self.place(other) :]


class Mutator:
    """Mutates requests, the same for the same seed.

    Args:
        seed: of the chance, or the chance itself.
        payloads: the requests; those among the vectors, without those of groups, where left out.
    """

    def __init__(self, seed: int | random.Random, payloads: list[bytes] | None = None) -> None:
        self._random = seed if isinstance(seed, random.Random) else random.Random(seed)
        self._vectors = vectors() if payloads is None else payloads
        some = Bytes(self._random)
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            *[self._replace] * 8, self._remove, self._remove, self._keep,
            some.flip, some.flip, some.flip, some.cut, some.drop, some.insert, some.repeat,
            lambda payload: some.splice(payload, self._random.choice(self._vectors)),
        )  # fmt: skip

    def next(self) -> bytes:
        """One more."""
        payload = self._random.choice(self._vectors)
        return self.mutate(payload.replace(VECTOR_ID, self._random.randbytes(8)))

    def mutate(self, payload: bytes) -> bytes:
        """This one, mutated in one to three ways."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            payload = self._random.choice(self._ways)(payload)
        return payload[:_LONGEST]

    def _keep(self, payload: bytes) -> bytes:
        return payload

    def _replace(self, payload: bytes) -> bytes:
        """Another value in a field."""
        meaning = meaning_of(payload)
        if meaning is None:
            return payload
        field = self._random.choice(_FIELDS)
        values = (*_ODD_VALUES, *(_OPERATIONS if field == "op" else ()))
        return bytes(msgpack.packb({**meaning, field: self._random.choice(values)}))

    def _remove(self, payload: bytes) -> bytes:
        """A field less."""
        meaning = meaning_of(payload)
        if not meaning:
            return payload
        meaning.pop(self._random.choice(list(meaning)))
        return bytes(msgpack.packb(meaning))


def meaning_of(payload: bytes) -> dict[Any, Any] | None:
    """The map that a payload is; None where it is none."""
    try:
        meaning = msgpack.unpackb(payload, strict_map_key=False)
        msgpack.packb(meaning)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError, OverflowError):
        return None
    return meaning if isinstance(meaning, dict) else None
