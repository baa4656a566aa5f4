"""Which slot of a cluster a key lies in."""

from binascii import crc_hqx
from typing import Final

SLOTS: Final = 16_384


def slot_of(key: str) -> int:
    """The slot of a key: of what stands between its first braces, since ours all have some."""
    tag = key.partition("{")[2].partition("}")[0]
    return crc_hqx(tag.encode(), 0) % SLOTS
