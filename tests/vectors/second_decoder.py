"""A second decoder, to check the first by: MessagePack as its specification has it. It imports nothing of ours, and not
msgpack either. What it reads comes out as JSON can hold it: bin as {"hex": …}, ext as {"ext": type, "hex": …}.
"""

import struct
from typing import Any, Final, NamedTuple

_NUMBERS: Final = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_LENGTHS: Final = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4),
    0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_FIXED_EXT: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}


class Head(NamedTuple):
    """The start of a value: its kind, a scalar's value or the others' length, and where it ends."""

    kind: str
    value: Any
    end: int


def head(data: bytes, at: int) -> Head:
    """Read the start of the value at a place."""
    byte = _take(data, at, 1)[0]
    after = at + 1
    if byte <= 0x7F or byte >= 0xE0:
        return Head("scalar", byte if byte <= 0x7F else byte - 0x100, after)
    if byte <= 0x8F:
        return Head("map", byte & 0x0F, after)
    if byte <= 0x9F:
        return Head("array", byte & 0x0F, after)
    if byte <= 0xBF:
        return Head("str", byte & 0x1F, after)
    if byte in _CONSTANTS:
        return Head("scalar", _CONSTANTS[byte], after)
    if byte in _FIXED_EXT:
        return Head("ext", _FIXED_EXT[byte], after)
    if byte in _NUMBERS:
        size = struct.calcsize(_NUMBERS[byte])
        return Head("scalar", struct.unpack(_NUMBERS[byte], _take(data, after, size))[0], after + size)
    kind, size = _LENGTHS[byte]
    return Head(kind, int.from_bytes(_take(data, after, size), "big"), after + size)


def decode(data: bytes) -> Any:
    """The one value that fills the payload."""
    value, end = _read(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes too many")
    return value


def _read(data: bytes, at: int) -> tuple[Any, int]:
    kind, value, at = head(data, at)
    match kind:
        case "str":
            return _take(data, at, value).decode(), at + value
        case "bin":
            return {"hex": _take(data, at, value).hex()}, at + value
        case "ext":
            raw = _take(data, at, 1 + value)
            return {"ext": struct.unpack("b", raw[:1])[0], "hex": raw[1:].hex()}, at + 1 + value
        case "array":
            return _read_many(data, at, value)
        case "map":
            flat, end = _read_many(data, at, 2 * value)
            return dict(zip(flat[::2], flat[1::2], strict=True)), end
        case _:
            return value, at


def _read_many(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    for _ in range(count):
        value, at = _read(data, at)
        values.append(value)
    return values, at


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("it ends inside a value")
    return data[at : at + size]
