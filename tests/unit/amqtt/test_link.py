"""Links over real sockets: what was written comes before the end, `waiting` counts, and no end hangs."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
import websockets
from websockets.asyncio.client import ClientConnection

from ringline_broker.bindings.amqtt.link import READ_AT_ONCE, Link, Receiver, StreamLink
from ringline_broker.bindings.amqtt.websocket import WebSocketLink
from tests.support.bound import BOUND_S


class Near:
    """Who takes what a link brings."""

    def __init__(self, link: Link) -> None:
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        link.start(self)

    def received(self, data: bytes) -> None:
        if data:
            self._came.put_nowait(data)

    def ended(self) -> None:
        self._came.put_nowait(b"")

    async def next(self) -> bytes:
        """What came, or nothing at the end."""
        return await asyncio.wait_for(self._came.get(), BOUND_S)

    @property
    def has_some(self) -> bool:
        return not self._came.empty()


class Far:
    """The other end of a link."""

    def __init__(
        self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], Any], cut: Callable[[], None]
    ) -> None:
        self.receive = receive
        self.send = send
        self.cut = cut

    async def rest(self) -> bytes:
        """All that comes until the end."""
        came = b""
        while data := await asyncio.wait_for(self.receive(), BOUND_S):
            came += data
        return came


@asynccontextmanager
async def accepted(wrap: Callable[[StreamLink], Link]) -> AsyncGenerator[tuple[asyncio.Queue[Link], int]]:
    """Links of the connections that come to a port."""
    made: asyncio.Queue[Link] = asyncio.Queue()
    buffer = memoryview(bytearray(READ_AT_ONCE))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def accept() -> None:
            raw, _ = await loop.sock_accept(listening)
            _, link = await loop.connect_accepted_socket(lambda: StreamLink(buffer), raw)
            made.put_nowait(wrap(link))

        accepting = asyncio.create_task(accept())
        yield made, listening.getsockname()[1]
        await accepting


@asynccontextmanager
async def stream() -> AsyncGenerator[tuple[Link, Far]]:
    async with accepted(lambda link: link) as (made, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        link = await made.get()

        async def receive() -> bytes:
            try:
                return await reader.read(65_536)
            except ConnectionError:
                return b""

        yield link, Far(receive, writer.write, writer.transport.abort)
        link.abort()
        writer.transport.abort()
        await link.closed()


class _Late:
    """Takes nothing yet but the handshake, which a WebSocket needs somebody for."""

    def __init__(self) -> None:
        self.near: Near | None = None
        self.early: list[bytes] = []
        self.is_over = False

    def received(self, data: bytes) -> None:
        if self.near is not None:
            self.near.received(data)
        elif data:
            self.early.append(data)

    def ended(self) -> None:
        self.is_over = True
        if self.near is not None:
            self.near.ended()


class _Started(WebSocketLink):
    """Is started at once, and hands over what came when it is started for good."""

    def __init__(self, link: StreamLink) -> None:
        super().__init__(link, 1_000_000)
        self.late = _Late()
        super().start(self.late)

    def start(self, receiver: Receiver) -> None:
        assert isinstance(receiver, Near)
        self.late.near = receiver
        for data in self.late.early:
            receiver.received(data)
        if self.late.is_over:
            receiver.ended()


@asynccontextmanager
async def websocket() -> AsyncGenerator[tuple[Link, Far]]:
    async with accepted(_Started) as (made, port):
        client: ClientConnection = await websockets.connect(
            f"ws://127.0.0.1:{port}", close_timeout=0.2, subprotocols=[websockets.Subprotocol("mqtt")], max_size=None
        )
        link = await made.get()

        async def receive() -> bytes:
            try:
                message = await client.recv()
            except websockets.ConnectionClosed:
                return b""
            assert isinstance(message, bytes)
            return message

        sending: set[asyncio.Task[None]] = set()

        def send(data: bytes) -> None:
            sending.add(asyncio.create_task(client.send(data)))

        yield link, Far(receive, send, client.transport.abort)
        link.abort()
        client.transport.abort()
        await asyncio.gather(*sending, return_exceptions=True)
        await link.closed()


both = pytest.mark.parametrize("kind", [stream, websocket])
Kind = Callable[[], Any]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run on either loop: a server has uvloop's where it is installed."""

    def run_on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main)

    return run_on_loop


@both
def test_bytes_go_both_ways(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            assert link.peer.startswith("127.0.0.1:")
            link.write(b"there")
            assert await far.receive() == b"there"
            near = Near(link)
            far.send(b"back")
            assert await near.next() == b"back"

    run(main())


@both
def test_the_end_comes_after_what_was_written(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            near = Near(link)
            for n in range(100):
                link.write(b"%02d" % n)
            link.close()
            link.close()
            link.write(b"never")
            assert await far.rest() == b"".join(b"%02d" % n for n in range(100))
            await asyncio.wait_for(link.closed(), BOUND_S)
            assert await near.next() == b""

    run(main())


@both
def test_an_abort_waits_for_nothing(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, _):
            near = Near(link)
            for _n in range(100):
                link.write(bytes(100_000))
            link.close()
            link.abort()
            link.abort()
            await asyncio.wait_for(link.closed(), BOUND_S)
            assert await near.next() == b""
            link.write(b"never")

    run(main())


@both
def test_what_nobody_reads_is_counted(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            assert link.waiting == 0
            for _ in range(200):
                link.write(bytes(100_000))
            assert link.waiting > 1_000_000
            left = 20_000_000
            while left:
                left -= len(await far.receive())
            assert link.waiting == 0

    run(main())


@both
def test_a_vanished_other_end_is_the_end(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            near = Near(link)
            link.write(bytes(1_000_000))
            far.cut()
            assert await near.next() == b""
            link.write(b"never")
            link.close()
            await asyncio.wait_for(link.closed(), BOUND_S)

    run(main())


@both
def test_what_comes_waits_while_paused(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            near = Near(link)
            link.pause()
            link.pause()
            for n in range(10):
                far.send(b"%d" % n)
            link.write(b"a whole way and back")
            await far.receive()
            assert not near.has_some
            link.resume()
            link.resume()
            came = b""
            while len(came) < 10:
                came += await near.next()
            assert came == b"0123456789"

    run(main())


@both
def test_what_comes_before_anybody_takes_it_is_kept(kind: Kind, run: Run) -> None:
    async def main() -> None:
        async with kind() as (link, far):
            far.send(b"early")
            link.write(b"a whole way and back")
            await far.receive()
            assert await Near(link).next() == b"early"

    run(main())


def test_an_end_before_anybody_takes_anything_is_told(run: Run) -> None:
    async def main() -> None:
        async with stream() as (link, far):
            far.cut()
            await asyncio.wait_for(link.closed(), BOUND_S)
            assert await Near(link).next() == b""

    run(main())


def test_small_packets_leave_at_once_and_the_system_looks_after_the_silent(run: Run) -> None:
    async def main() -> None:
        async with stream() as (link, _):
            assert isinstance(link, StreamLink)
            raw = link._transport.get_extra_info("socket")
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    run(main())
