"""Who takes part in the tests of the worker's connection: plain connections, workers, and brokers that are not real."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

import mqtt5
import uvloop

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Clock, Incoming, Reach
from tests.support.running import free_port

T = TypeVar("T")
WITHIN_S = 20.0
TOPICS = Topics()
SHARE = "a-secret"
EVENTS = TOPICS.events("bob")


def run(scenario: Coroutine[Any, Any, T], within_s: float = 60.0) -> T:
    """Run a test's coroutine on the loop that workers run on, with a bound."""

    async def bounded() -> T:
        async with asyncio.timeout(within_s):
            return await scenario

    return uvloop.run(bounded())


def here(port: int, **more: Any) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", port, **more)


class Moves:
    """Something that happens; whoever waits looks again after each time."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def move(self) -> None:
        self._moved.set()

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not so():
                self._moved.clear()
                await self._moved.wait()


class Peer(Moves):
    """A connection of its own, with what came on it.

    Args:
        settles: whether it acknowledges what comes.
    """

    def __init__(self, bounds: LinkBounds | None = None, clock: Clock | None = None, *, settles: bool = True) -> None:
        super().__init__()
        self.bounds = bounds or LinkBounds()
        self._clock = clock or SystemClock()
        self._settles = settles
        self.outbound = Outbound(self.bounds.max_messages, self.bounds.max_bytes, self._clock.monotonic_ms)
        self.came: list[tuple[str, bytes]] = []
        self.settle: list[Callable[[], None]] = []
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    async def join(self, address: BrokerAddress, *filters: str) -> Self:
        self._connection = await connect(address, self.bounds, self.outbound, self._take, self._clock)
        if filters:
            await self.connection.subscribe(filters)
        return self

    def publish(self, topic: str, payload: bytes = b"", expiry_ms: int | None = None) -> asyncio.Future[Reach]:
        return self.outbound.put(topic, payload, expiry_ms)

    async def ended(self) -> str:
        """Why the connection ended, once it has."""
        async with asyncio.timeout(WITHIN_S):
            await self.connection.ended.wait()
        return self.connection.reason

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.outbound.give_up()

    def _take(self, topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        self.came.append((topic, payload))
        if self._settles:
            settle()
        else:
            self.settle.append(settle)
        self.move()


class Worker(Moves):
    """A worker's binding, with the requests it took."""

    def __init__(
        self,
        address: BrokerAddress,
        bounds: LinkBounds | None = None,
        clock: Clock | None = None,
        *,
        settles: bool = True,
    ) -> None:
        super().__init__()
        self.binding = WorkerBinding(address, TOPICS, SHARE, clock or SystemClock(), bounds)
        self.binding.on_request, self.binding.now = self._take, lambda: 1_234
        self.requests: list[Incoming] = []
        self._settles = settles

    async def __aenter__(self) -> Self:
        await self.binding.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.binding.stop()

    def _take(self, incoming: Incoming) -> None:
        self.requests.append(incoming)
        if self._settles:
            incoming.settle()
        self.move()


async def said(told: Awaitable[T]) -> T:
    """What the broker says of a message, which has to come."""
    async with asyncio.timeout(WITHIN_S):
        return await told


async def request(peer: Peer, worker: Worker, user: str = "alice") -> None:
    """Repeat a request, as a client would, until this worker has it."""
    before = len(worker.requests)
    async with asyncio.timeout(WITHIN_S):
        while len(worker.requests) == before:
            await peer.publish(TOPICS.requests(user), b"")


class Visit:
    """One connection to a broker that is not real."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> mqtt5.Packet:
        """The next packet."""
        head = await self._reader.readexactly(2)
        while head[-1] & 0x80:
            head += await self._reader.readexactly(1)
        size = sum((byte & 0x7F) << 7 * n for n, byte in enumerate(head[1:]))
        return mqtt5.read(memoryview(head + await self._reader.readexactly(size)))[0]

    async def read_publish(self) -> mqtt5.PublishPacket:
        packet = await self.read()
        assert isinstance(packet, mqtt5.PublishPacket), packet
        return packet

    async def read_disconnect(self) -> mqtt5.DisconnectPacket:
        packet = await self.read()
        assert isinstance(packet, mqtt5.DisconnectPacket), packet
        return packet

    def send(self, *packets: mqtt5.Packet | bytes) -> None:
        self._writer.write(b"".join(one if isinstance(one, bytes) else one.write() for one in packets))

    async def accept(self, **offer: Any) -> mqtt5.ConnectPacket:
        """Accept the login."""
        login = await self.read()
        assert isinstance(login, mqtt5.ConnectPacket), login
        self.send(mqtt5.ConnAckPacket(**offer))
        return login

    async def at_end(self) -> None:
        """Until the other end has gone."""
        while await self._reader.read(65_536):
            pass

    def close(self) -> None:
        self._writer.close()


def message(n: int, size: int = 1) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket("t", bytes((n,)) * size, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=n)


class FakeBroker:
    """Plays a part that no real broker would.

    Args:
        part: what it does on every connection; the connection ends with it.
    """

    def __init__(self, part: Callable[[Visit], Awaitable[None]]) -> None:
        self._part = part
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self.port = free_port()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        visits = list(self._visits)
        if visits and kind is None:
            done = (await asyncio.wait(visits, timeout=WITHIN_S))[0]
            assert len(done) == len(visits), "a visit did not come to its end"
        for visit in visits:
            visit.cancel()
        for how in await asyncio.gather(*visits, return_exceptions=True):
            if kind is None and isinstance(how, Exception):
                raise how

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visits.add(task := asyncio.ensure_future(self._play(Visit(reader, writer))))
        with suppress(asyncio.CancelledError, Exception):  # told at the end
            await task

    async def _play(self, visit: Visit) -> None:
        try:
            await self._part(visit)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other end has gone
        finally:
            visit.close()
