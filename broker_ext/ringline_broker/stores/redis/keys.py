"""Names of keys, and which shard an id belongs to. The layout stands in this package's docstring."""

from typing import Final
from zlib import crc32

from ringline_broker.engine.groups.model import Standing

LAYOUT: Final = 2
LETTERS: Final = {Standing.MEMBER: "m", Standing.APPLICANT: "a", Standing.BANNED: "b", Standing.LEFT: "l"}
"""What stands for a standing, before a row and in keys."""


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
        self._bases = [f"{prefix}:{{s{shard:02}}}:" for shard in self.shards]
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
