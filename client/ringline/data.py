"""The application's data: any MessagePack value, packed here and never looked into on the way."""

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


def pack_data(value: Value) -> bytes:
    """Pack a value; None packs to no bytes at all.

    Raises:
        TypeError: it holds something MessagePack cannot carry.
        ValueError: it packs to more than 8,192 bytes, or holds an integer of more than 64 bits.
    """
    if value is None:
        return b""
    try:
        packed = msgpack.packb(value)
    except OverflowError as big:
        raise ValueError(f"data cannot be packed: {big}") from big
    if len(packed) > MAX_DATA_BYTES:
        raise ValueError(f"data packs to {len(packed)} bytes; at most {MAX_DATA_BYTES} are allowed")
    return packed


def unpack_data(packed: bytes) -> Value:
    """Unpack; bytes that are no MessagePack value come back as Undecodable."""
    if not packed:
        return None
    try:
        return msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError):
        return Undecodable(packed)
