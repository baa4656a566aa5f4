"""What MQTT 3.1.1 and MQTT 5 have in common on the wire: how a packet begins, and the PUBACK. No I/O."""

from typing import Final

MAX_PACKET_ID: Final = 65_535
MAX_LENGTH: Final = 268_435_455
"""Bytes that a packet can have after its fixed header: as many as four bytes of length can say."""
_MAX_LENGTH_BYTES: Final = 4
_MORE: Final = 0x80
"""The continuation bit: a byte of a length below it is the last."""
_PUBACK: Final = bytes((4 << 4, 2))


class Malformed(Exception):
    """Bytes that break the standard, or a packet over the limit: the connection is closed (MQTT 3.1.1 section 4.8,
    MQTT 5.0 section 4.13).
    """


def packet_at(buffer: bytes | bytearray, at: int, limit: int) -> tuple[int, int] | None:
    """Where the body of the packet that begins there starts and ends; None where its header is not all there.

    Args:
        buffer: what came.
        at: where the packet begins.
        limit: bytes its body may have.

    Raises:
        Malformed: a body over the limit, or a length of more than four bytes.
    """
    if at + 2 < len(buffer) and (length := buffer[at + 1]) < _MORE:  # nearly all have one byte of length, or two
        start = at + 2
    elif at + 2 < len(buffer) and (second := buffer[at + 2]) < _MORE:
        length, start = buffer[at + 1] & 0x7F | second << 7, at + 3
    elif (found := variable_integer(buffer, at + 1)) is None:
        return None
    else:
        length, start = found
    if length > limit:
        raise Malformed(f"a packet of {length} bytes; the limit is {limit}")
    return start, start + length


def variable_integer(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """A length in up to four bytes (MQTT 3.1.1 section 2.2.3, MQTT 5.0 section 1.5.5), and where it ends; None where it
    is not all there.

    Raises:
        Malformed: it has more than four bytes.
    """
    length = 0
    for i in range(_MAX_LENGTH_BYTES):
        if at + i >= len(data):
            return None
        byte = data[at + i]
        length |= (byte & 0x7F) << (7 * i)
        if byte < _MORE:
            return length, at + i + 1
    raise Malformed("a length of more than four bytes")


def length_bytes(length: int) -> bytes:
    """A length as `variable_integer` reads it."""
    out = bytearray()
    while length >= _MORE:
        out.append(length & 0x7F | _MORE)
        length >>= 7
    out.append(length)
    return bytes(out)


def puback(packet_id: int) -> bytes:
    """A PUBACK that says nothing but that it was taken."""
    return _PUBACK + packet_id.to_bytes(2, "big")
