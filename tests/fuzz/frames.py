"""WebSocket: the upgrade and the frames, good and broken, and MQTT cut across frames in any way that is allowed."""

import random
import struct
from typing import Final

from tests.attacks.raw_mqtt import connect_packet
from tests.faults.mutations import Bytes
from tests.fuzz.packets import Packets

BINARY: Final = 2
CLOSE: Final = 8
_LINES: Final = (
    b"GET /mqtt HTTP/1.1", b"Host: 127.0.0.1", b"Upgrade: websocket", b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Protocol: mqtt",
)  # fmt: skip
UPGRADE: Final = b"\r\n".join((*_LINES, b"", b""))
"""As a good client asks."""
_ODD_LINES: Final = (
    b"POST /mqtt HTTP/1.1", b"GET /mqtt HTTP/1.0", b"GET /\xff\xfe HTTP/1.1", b"GET " + b"/" * 9_000 + b" HTTP/1.1",
    b"GET / HTTP/1.1 HTTP/1.1", b"\x16\x03\x01\x02", b"Sec-WebSocket-Version: 12", b"Sec-WebSocket-Version: 1e9",
    b"Sec-WebSocket-Key: short", b"Sec-WebSocket-Key: " + b"A" * 8_000, b"Sec-WebSocket-Protocol: chat",
    b"Sec-WebSocket-Protocol: mqtt, mqtt", b"Sec-WebSocket-Protocol: ,,;",
    b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Extensions: " + b"x;" * 2_000,
    b"Content-Length: 10", b"Content-Length: -1",
    b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Upgrade: h2c", b"Connection: close",
    b"Origin: null", b"Expect: 100-continue", b": no name", b"no colon", b" folded", b"X: " + b"y" * 9_000, b"\0: \0",
    b"Host: a\rHost: b",
)  # fmt: skip
_CLAIMS: Final = (0, 1, 125, 126, 127, 65_535, 65_536, 2**20, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


def frame(
    payload: bytes, opcode: int = BINARY, *, fin: bool = True, rsv: int = 0, mask: bytes | None = b"\x0f\xf0\xaa\x55",
    claimed: int | None = None,
) -> bytes:  # fmt: skip
    """A frame.

    Args:
        payload: what is in it.
        opcode: 0 to 15.
        fin: whether it is a message's last.
        rsv: the three reserved bits.
        mask: four bytes; None for none, which no server takes.
        claimed: the length it says it has; the true one where left out.
    """
    length = len(payload) if claimed is None else claimed
    head = bytes((0x80 * fin | rsv << 4 | opcode,))
    masked = 0x80 * (mask is not None)
    if length < 126:
        head += bytes((masked | length,))
    elif length < 65_536:
        head += struct.pack("!BH", masked | 126, length)
    else:
        head += struct.pack("!BQ", masked | 127, length)
    return head + payload if mask is None else head + mask + _xor(payload, mask)


def _xor(payload: bytes, mask: bytes) -> bytes:
    count = len(payload)
    stretched = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(count, "big")


class Frames:
    """Makes upgrades and frames.

    Args:
        chance: what decides.
        packets: the MQTT inside.
    """

    def __init__(self, chance: random.Random, packets: Packets) -> None:
        self._random = chance
        self._packets = packets
        self._bytes = some = Bytes(chance)
        self._ways = (some.flip, some.flip, some.cut, some.drop, some.insert, some.repeat)

    def upgrade(self) -> bytes:
        """A connection's first bytes, hardly ever as they should be."""
        lines: list[bytes] = list(_LINES)
        chance = self._random
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(lines))
            match chance.randrange(5):
                case 0:
                    lines[at] = chance.choice(_ODD_LINES)
                case 1:
                    lines.insert(at, chance.choice(_ODD_LINES))
                case 2:
                    del lines[at : at + 1 - (len(lines) == 1)]
                case 3:
                    lines.insert(at, lines[-1 - at])
                case _:
                    lines += [b"X-%d: y" % one for one in range(chance.choice((10, 200)))]
        data = b"\r\n".join((*lines, b"", b""))
        return chance.choice(self._ways)(data) if chance.random() < 0.5 else data

    def stream(self, number: int, user: str) -> bytes:
        """A good upgrade, most often a login, then frames in which something is wrong."""
        chance = self._random
        login = frame(connect_packet(user, None)) if chance.random() < 0.8 else b""
        frames = b"".join(self._odd_frame(number, user) for _ in range(chance.choice((1, 2, 3, 8))))
        for _ in range(chance.choice((0, 0, 1, 2))):
            frames = chance.choice(self._ways)(frames)
        return UPGRADE + login + frames[:100_000]

    def _odd_frame(self, number: int, user: str) -> bytes:
        chance = self._random
        payload = chance.choice((b"", b"\xff", b"\x03\xe8", b"\x00\x00bye", b"\xc0\x00" * 80, None))
        if payload is None:
            payload = self._packets.one(number, user)
        return frame(
            payload, chance.choice((BINARY, BINARY, BINARY, BINARY, 0, 1, 3, CLOSE, 9, 10, 15)),
            fin=chance.random() < 0.8, rsv=chance.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 4)),
            mask=None if chance.random() < 0.05 else chance.randbytes(4),
            claimed=chance.choice(_CLAIMS) if chance.random() < 0.2 else None,
        )  # fmt: skip

    def cut(self, data: bytes) -> bytes:
        """MQTT as it is, cut across messages, and messages across frames, with a ping in between."""
        chance = self._random
        out: list[bytes] = []
        while data:
            count = chance.choice((1, 2, 3, 7, 100, 5_000, len(data)))
            piece, data = data[:count], data[count:]
            if len(piece) > 1 and chance.random() < 0.3:
                at = chance.randrange(len(piece))
                out.append(frame(piece[:at], fin=False))
                out.append(frame(b"are you there", 9) if chance.random() < 0.3 else b"")
                out.append(frame(piece[at:], 0))
            else:
                out.append(frame(piece))
            if len(out) > 200:
                out.append(frame(data) if data else b"")
                break
        return b"".join(out)
