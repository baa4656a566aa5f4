"""The application's data: any MessagePack value, packed here and never looked into on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from ringline.protocol.limits import MAX_DATA_BYTES

Value = Any
"""None, a bool, an int of 64 bits, a float, a str, bytes, or lists and dicts of these."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Data that is no MessagePack value: what another kind of client sent, as it came."""

    raw: bytes


def pack_data(value: Value, limit: int = MAX_DATA_BYTES, what: str = "data") -> bytes:
    """Pack a value; None packs to no bytes at all.

    Args:
        value: what to pack.
        limit: bytes it may pack to.
        what: what errors call it.

    Raises:
        TypeError: it holds something MessagePack cannot carry.
        ValueError: it packs to more than `limit` bytes, or holds an integer of more than 64 bits.
    """
    if value is None:
        return b""
    try:
        packed = msgpack.packb(value)
    except OverflowError as big:
        raise ValueError(f"{what} cannot be packed: {big}") from big
    if len(packed) > limit:
        raise ValueError(f"{what} packs to {len(packed)} bytes; at most {limit} are allowed")
    return packed


def unpack_data(packed: bytes) -> Value:
    """Unpack; bytes that are no MessagePack value come back as Undecodable."""
    if not packed:
        return None
    try:
        return msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError):
        return Undecodable(packed)


def unpack_fields(packed: Mapping[str, bytes]) -> dict[str, Value]:
    """Unpack each value."""
    return {key: unpack_data(value) for key, value in packed.items()}
