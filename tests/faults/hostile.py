"""Connections that do whatever they like: bytes out, packets in, and a tally of both."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from ringline.protocol.answers import Answer, decode_answer
from ringline.protocol.errors import TOO_MANY_REQUESTS
from ringline.protocol.requests import encode_request
from ringline.protocol.shapes import Request
from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.mqtt311 import Packet, PacketReader, PacketType
from ringline_broker.bindings.framing import puback
from tests.attacks.raw_mqtt import connect_packet, publish_packet, subscribe_packet
from tests.support.bound import BOUND_S

TOPICS: Final = Topics()
DEVICE: Final = "raw"
PATIENCE_S: Final = 1.0
"""How long somebody who abuses waits for an answer before going on without."""
_LONGEST: Final = 1 << 20


class Ended(Exception):
    """The server ended the connection, or refused it."""


@dataclass
class Tally:
    """What came of one kind of abuse.

    Attributes:
        sent: abusive packets or connections.
        ended: connections that the server ended or refused.
        too_many: refusals with 7008.
        refused: other refusals.
    """

    sent: int = 0
    ended: int = 0
    too_many: int = 0
    refused: int = 0


@dataclass
class Hostile:
    """Who a connection is, and where it comes from; `on_sent` is told of every abuse."""

    port: int
    user: str
    source: str
    password: str = "secret"
    tally: Tally = field(default_factory=Tally)
    on_sent: Callable[[], None] = lambda: None

    async def reach(self) -> "Connection":
        """A connection that has said nothing yet."""
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self.port, local_addr=(self.source, 0)
            )
        except OSError as failed:
            raise Ended from failed
        return made

    async def log_in(self) -> "Connection":
        """A connection that is logged in, and subscribed to what a device hears."""
        made = await self.reach()
        made.write(connect_packet(self.user, self.password, keep_alive=0))
        await made.hear(PacketType.CONNACK)
        made.write(subscribe_packet(1, (TOPICS.events(self.user), 1), (TOPICS.answers(self.user, DEVICE), 1)))
        await made.hear(PacketType.SUBACK)
        return made


class Connection(asyncio.Protocol):
    """One connection. It acknowledges what it hears, and counts refusals."""

    def __init__(self, owner: Hostile) -> None:
        self.owner = owner
        self.is_over = asyncio.Event()
        self.heard = 0
        self.answers: dict[bytes, Answer | None] = {}
        self._packets = PacketReader(_LONGEST)
        self._kinds: dict[int, int] = {}
        self._last_id = 1
        self._changed = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.is_over.set()
        self._changed.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        for packet in self._packets.feed(data):
            self._take(packet)
        self._changed.set()

    def _take(self, packet: Packet) -> None:
        self.heard += 1
        if packet.kind == PacketType.CONNACK and packet.body[1]:
            self.close()
        self._kinds[packet.kind] = self._kinds.get(packet.kind, 0) + 1
        if packet.kind == PacketType.PUBLISH:
            message = mqtt311.read_publish(packet)
            if message.packet_id is not None:
                self.write(puback(message.packet_id))
            if "/d/" in message.topic:
                self._count(decode_answer(message.payload))

    def _count(self, answer: Answer) -> None:
        if answer.re in self.answers:
            self.answers[answer.re] = answer
        if answer.err is not None and answer.err.code == TOO_MANY_REQUESTS.code:
            self.owner.tally.too_many += 1
        elif answer.err is not None:
            self.owner.tally.refused += 1

    def write(self, data: bytes) -> None:
        """Send, without waiting."""
        if self.transport is not None and not self.is_over.is_set():
            self.transport.write(data)

    async def send(self, data: bytes, count: int = 1) -> None:
        """Send so many abusive packets, as fast as the server takes them.

        Raises:
            Ended: it takes nothing any more.
        """
        await self._may_write.wait()
        if self.is_over.is_set():
            raise Ended
        self.write(data)
        self.owner.tally.sent += count
        self.owner.on_sent()

    def request(self, request: Request) -> bytes:
        """A request of this user, as a packet."""
        self._last_id = self._last_id % 65_535 + 1
        return publish_packet(TOPICS.requests(self.owner.user), encode_request(request), 1, self._last_id)

    async def ask(self, request: Request) -> Answer:
        """Ask something that is answered, not as an abuse.

        Raises:
            Ended: the connection is over.
            TimeoutError: there is no answer.
        """
        self.answers[request.id] = None
        self.write(self.request(request))
        async with asyncio.timeout(BOUND_S):
            while (answer := self.answers[request.id]) is None:
                await self.more()
        return answer

    async def hear(self, kind: int) -> None:
        """Wait for a packet of this kind.

        Raises:
            Ended: it does not come.
        """
        while not self._kinds.get(kind):
            before = self.heard
            await self.more(BOUND_S)
            if self.heard == before:
                raise Ended

    async def more(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until something comes, but not for long.

        Raises:
            Ended: the connection is over.
        """
        self._changed.clear()
        if not self.is_over.is_set():
            try:
                async with asyncio.timeout(patience_s):
                    await self._changed.wait()
            except TimeoutError:
                return
        if self.is_over.is_set():
            raise Ended

    async def end(self) -> None:
        """Wait until the server ends it, which counts.

        Raises:
            Ended: always.
        """
        await self.is_over.wait()
        raise Ended

    def stop_reading(self) -> None:
        """Take nothing any more."""
        if self.transport is not None:
            self.transport.pause_reading()

    def close(self) -> None:
        """End it."""
        if self.transport is not None:
            self.transport.abort()
