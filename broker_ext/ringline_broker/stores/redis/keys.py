"""Names of keys, and which shard an id belongs to. The layout stands in this package's docstring."""

from itertools import count
from typing import Final
from zlib import crc32

from ringline_broker.engine.groups.model import Standing
from ringline_broker.stores.redis.slots import SLOTS, slot_of

LAYOUT: Final = 2
LETTERS: Final = {Standing.MEMBER: "m", Standing.APPLICANT: "a", Standing.BANNED: "b", Standing.LEFT: "l"}
"""What stands for a standing, before a row and in keys."""


_BEGIN: Final = slot_of("{s00}")


def _tag(shard: int, shards: int) -> str:
    """A hash tag whose slot is where the shard's own part of all slots begins, or soon after: where a cluster's nodes
    have as many slots each, they have as many shards each, as far as that is possible. The first shard's is the same
    for any number of them, so that it is found out that a store was made with another.
    """
    part = SLOTS // shards
    begin, near = _BEGIN + SLOTS * shard // shards, max(part // 4, 16)
    tags = (f"s{shard:02}{f'.{attempt}' if attempt else ''}" for attempt in count())
    return next(tag for tag in tags if (slot_of(f"{{{tag}}}") - begin) % SLOTS < near)


class Keys:
    """The keys of one store.

    Args:
        prefix: what they begin with.
        shards: how many there are.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        self.shards: Final = range(shards)
        self.indexed: Final = shards == 1
        """Whether indexes of users and groups lie beside the records and change with them; else they are hints."""
        self._bases = [f"{prefix}:{{{_tag(shard, shards)}}}:" for shard in self.shards]
        self._first = self._bases[0]

    def shard(self, name: str) -> int:
        """Where this id or user belongs."""
        return 0 if self.indexed else crc32(name.encode()) % len(self._bases)

    def base(self, shard: int) -> str:
        """What the keys of a shard begin with."""
        return self._bases[shard]

    def of(self, kind: str, name: str) -> str:
        """The key of this kind about this id or user."""
        return (self._first if self.indexed else self._bases[self.shard(name)]) + kind + name
