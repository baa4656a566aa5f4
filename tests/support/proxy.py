"""A TCP proxy between devices and server that loses, doubles and reorders PUBLISH packets, and cuts connections."""

import asyncio
import random
import threading
from dataclasses import dataclass, field

from ringline_broker.bindings.amqtt.mqtt311 import Packet, PacketReader, PacketType
from tests.support.bound import BOUND_S
from tests.support.relay import AT_ONCE, Relay

RELEASE_AFTER_S = 0.3
"""A packet held back to be reordered goes out after this at the latest."""
_LIMIT = 1_000_000


@dataclass(slots=True)
class Counts:
    """What the proxy really did."""

    passed: int = 0
    lost: int = 0
    doubled: int = 0
    held: int = 0
    cut: int = 0


@dataclass(slots=True)
class Mischief:
    """How often a PUBLISH of one direction meets what; the rest passes. Shares of 1.

    Attributes:
        done: what really befell those of this direction.
    """

    lose: float = 0.0
    double: float = 0.0
    hold: float = 0.0
    done: Counts = field(default_factory=Counts)

    def stop(self) -> None:
        """Let everything pass from now on."""
        self.lose = self.double = self.hold = 0.0


class Proxy(Relay):
    """Passes packets on to the server, as long as its door is open.

    Args:
        port: the server's.
        seed: of all chance.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.to_device = Mischief()
        self.to_server = Mischief()
        self.counts = Counts()
        self.is_open = True
        self._changed = threading.Condition()
        super().__init__(port)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut every connection, without a goodbye."""
        self._thread.call(self._cut)

    def close_door(self) -> None:
        """Cut every connection and let nobody in."""
        self.is_open = False
        self.cut()

    def open_door(self) -> None:
        """Let devices in again."""
        self.is_open = True

    def await_lost(self, mischief: Mischief, count: int, bound_s: float = BOUND_S) -> None:
        """Wait until so many of one direction were lost."""
        with self._changed:
            assert self._changed.wait_for(lambda: mischief.done.lost >= count, bound_s), f"lost: {mischief.done}"

    def _cut(self) -> None:
        self.counts.cut += self._reset_all()

    async def _close(self) -> None:
        self._cut()
        await super()._close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        self._writers.update(ends)  # who is on the way to the server is cut as well
        if self.is_open:
            theirs, server = await self._reach(ends)
            await asyncio.gather(self._pump(reader, server, self.to_server), self._pump(theirs, writer, self.to_device))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mischief: Mischief) -> None:
        packets = PacketReader(_LIMIT)
        held: list[bytes] = []
        loop = asyncio.get_running_loop()
        while data := await reader.read(AT_ONCE):
            for packet in packets.feed(data):
                raw = _bytes_of(packet)
                copies = self._copies(mischief) if packet.kind == PacketType.PUBLISH else 1
                if copies is None:
                    held.append(raw)
                    loop.call_later(RELEASE_AFTER_S, self._release, held, writer)
                    continue
                writer.write(raw * copies)
                self._release(held, writer)
        writer.transport.abort()

    def _copies(self, mischief: Mischief) -> int | None:
        """How often a PUBLISH goes out; None where it is held back until after the next packet."""
        chance = self._random.random()
        if chance < mischief.lose:
            what, copies = "lost", 0
        elif chance < mischief.lose + mischief.double:
            what, copies = "doubled", 2
        elif chance < mischief.lose + mischief.double + mischief.hold:
            what, copies = "held", None
        else:
            what, copies = "passed", 1
        with self._changed:
            for counts in (self.counts, mischief.done):
                setattr(counts, what, getattr(counts, what) + 1)
            self._changed.notify_all()
        return copies

    @staticmethod
    def _release(held: list[bytes], writer: asyncio.StreamWriter) -> None:
        while held and not writer.is_closing():
            writer.write(held.pop(0))


def _bytes_of(packet: Packet) -> bytes:
    head = bytes((packet.kind << 4 | packet.flags,))
    length = bytearray()
    left = len(packet.body)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return head + bytes(length) + packet.body
