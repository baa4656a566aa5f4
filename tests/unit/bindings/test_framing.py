"""Where a packet begins and ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringline_broker.bindings.framing import Malformed, packet_at

LONGEST = 268_435_455
EDGES = (0x7F, 0x80, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000)


def with_length(length: int) -> bytes:
    """The fixed header of a packet of so many bytes."""
    sevens = [length >> 7 * n & 0x7F | (0x80 if length >> 7 * (n + 1) else 0) for n in range(4)]
    return b"\x30" + bytes(sevens).rstrip(b"\0")


@given(st.integers(1, LONGEST) | st.sampled_from(EDGES), st.binary(max_size=3))
def test_a_packet_is_found_once_its_length_is_there(length: int, before: bytes) -> None:
    header = with_length(length)
    start = len(before) + len(header)
    for cut in range(len(header)):
        assert packet_at(before + header[:cut], len(before), LONGEST) is None
    for body in (b"", b"\x90", b"\x90\x90\x90"):
        assert packet_at(bytearray(before + header + body), len(before), length) == (start, start + length)
    with pytest.raises(Malformed, match=f"a packet of {length} bytes"):
        packet_at(before + header, len(before), length - 1)


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"\xd0\x00", (2, 2)),
        (b"\xd0\x00\xff", (2, 2)),
        (b"\xd0\x80\x00", (3, 3)),  # longer than it need be
        (b"\x40\x82\x80\x80\x00\x00\x05", (5, 7)),
        (b"\xd0\x80", None),
        (b"\xd0\x80\x80\x80", None),
    ],
)
def test_headers_of_every_kind(stream: bytes, found: tuple[int, int] | None) -> None:
    assert packet_at(stream, 0, 1_000) == found


def test_a_length_has_four_bytes_at_most() -> None:
    with pytest.raises(Malformed, match="more than four bytes"):
        packet_at(b"\x30\x80\x80\x80\x80", 0, LONGEST)
