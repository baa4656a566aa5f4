"""Requests of every operation, good and mutated, that reach far: they name the same few users, invitations, groups."""

import random
from functools import cache
from typing import Any, Final

import msgpack

from ringline.protocol.blocklist_requests import Block, ListBlocked, Unblock
from ringline.protocol.requests import encode_request
from tests.faults.mutations import VECTOR_ID, Mutator, meaning_of, vectors

EPOCH: Final = 2_048
"""Inputs that are about the same users and groups; then others come."""
_HOSTILE: Final = ("mallory", "trudy", "eve", "sybil", "oscar")
HONEST: Final = ("alice", "bob")
"""Who only calls, and may be rung by anybody."""
DEVICES: Final = ("a1b2c3d4", "d1", "d2")
_GOOD: Final = ("good_requests", "good_group_requests")
_BAD: Final = ("bad_requests", "bad_group_requests")
_BLOCKLIST: Final = (
    Block(id=VECTOR_ID, dev="d1", users=("mallory",)),
    Unblock(id=VECTOR_ID, dev="d1", users=("mallory",)),
    ListBlocked(id=VECTOR_ID, dev="d1"),
)
_OFTEN: Final = {"invite": 12, "accept": 4, "reject": 3, "cancel": 3, "modify": 3, "group_create": 3, "group_join": 3}
"""Operations that bring others something to be about, and how many times as often they come."""
_INVITATIONS: Final = 20
"""Of so many at a time every request names one; that is how an answer meets an invitation."""
_INVITATION_EPOCH: Final = 256
_GROUPS: Final = 5


def hostile(number: int) -> tuple[str, ...]:
    """Who attacks at the time of this input."""
    return _hostile_of(number // EPOCH)


@cache
def _hostile_of(epoch: int) -> tuple[str, ...]:
    return tuple(f"{name}{epoch}" for name in _HOSTILE)


class Payloads:
    """Makes payloads.

    Args:
        chance: what decides.
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        good = vectors(_GOOD) + [encode_request(one) for one in _BLOCKLIST]
        self._mutator = Mutator(chance, good + vectors(_BAD))
        found = [meaning_of(payload) for payload in good]
        self._by_operation: dict[str, list[dict[Any, Any]]] = {}
        for meaning in found:
            if meaning is not None and type(meaning.get("op")) is str:
                self._by_operation.setdefault(meaning["op"], []).append(meaning)
        known = sorted(self._by_operation)
        self._operations = [name for name in known for _ in range(_OFTEN.get(name, 1))]

    def make(self, number: int) -> bytes:
        """A request for the input of this number."""
        way = self._random.random()
        if way < 0.15:
            return self._mutator.next()
        payload = self._good(number)
        return payload if way < 0.65 else self._mutator.mutate(payload)

    def _good(self, number: int) -> bytes:
        """Of any operation, as likely as any other, about what others are about too."""
        meaning = dict(self._random.choice(self._by_operation[self._random.choice(self._operations)]))
        chance, users = self._random, hostile(number)
        meaning["id"] = chance.randbytes(8)
        meaning["dev"] = chance.choice(DEVICES)
        if "iid" in meaning:
            meaning["iid"] = f"i{number // _INVITATION_EPOCH}.{chance.randrange(_INVITATIONS)}"
        if "gid" in meaning:
            meaning["gid"] = f"g{number // EPOCH}.{chance.randrange(_GROUPS)}"
        for field in ("to", "users"):
            if isinstance(meaning.get(field), list):
                meaning[field] = chance.choices((*users, *users, *HONEST), k=chance.randint(1, 3))
        if meaning["op"] == "invite" and chance.random() < 0.2:
            meaning["gid"] = f"g{number // EPOCH}.{chance.randrange(_GROUPS)}"
        if "user" in meaning:
            meaning["user"] = chance.choice(users)
        if "timeout" in meaning:  # most are over soon
            meaning["timeout"] = chance.choice((0, 1, 1, 1, 2, 2, 3, 30))
        return bytes(msgpack.packb(meaning))
