"""What one device does costs the server the same however many others are connected: bytecode instructions, counted.

Counted are those of `ringline_broker` and of aMQTT, in the thread of the event loop. A scan over all devices takes some
for each of them; only one that is a single call into C would not show. The sweeper looks at all devices by intention,
twice a second, so it is left out.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

import amqtt
import pytest

import ringline_broker
from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt.binding import AmqttBinding, Listener
from ringline_broker.bindings.amqtt.broker import HardenedBroker
from ringline_broker.bindings.amqtt.link import Receiver
from tests.attacks.raw_mqtt import CONNACK, PUBLISH, SUBACK, connect_packet, subscribe_packet
from tests.attacks.targets import FREE
from tests.support.bound import BOUND_S

COUNTED: Final = tuple(str(Path(package.__file__ or "").parent) for package in (ringline_broker, amqtt))
FEW, MANY = 10, 1_000
ADDRESS: Final = "192.0.2.7"
TOPICS: Final = Topics()
TOLERANCE: Final = 1.1
"""Token buckets that are full again are forgotten by and by, at most eight a look: how many there are varies."""


class WireLess:
    """A link to a device that is not there. It is a socket too, as far as the broker is concerned."""

    waiting = 0
    tls = None
    peer = ADDRESS

    def __init__(self) -> None:
        self._written: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver: asyncio.Future[Receiver] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()

    def start(self, receiver: Receiver) -> None:
        self._receiver.set_result(receiver)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self._written.put_nowait(data)

    def close(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._receiver.result().ended()

    abort = close

    async def closed(self) -> None:
        await self._ended.wait()

    async def send(self, packet: bytes, answer: int) -> None:
        """Send a packet, and wait for its answer."""
        (await self._receiver).received(packet)
        await self.expect(answer)

    async def expect(self, kind: int) -> None:
        """Wait for a packet of this kind, which is the next."""
        packet = await asyncio.wait_for(self._written.get(), BOUND_S)
        assert packet[0] >> 4 == kind, packet


class Listening:
    """Makes links of sockets that are links."""

    async def open(self, raw: WireLess) -> WireLess:
        return raw


class Crowd:
    """A broker, and devices of it, each of another user."""

    def __init__(self, binding: AmqttBinding) -> None:
        self.binding = binding
        broker = binding._broker
        assert isinstance(broker, HardenedBroker)
        assert broker._sweeper is not None
        broker._sweeper.cancel()
        self._broker = broker
        self._links: list[WireLess] = []

    def come(self) -> WireLess:
        """One more connection."""
        link = WireLess()
        self._links.append(link)
        self._broker._accepted(cast("Any", Listening()), cast("Any", link), ADDRESS)
        return link

    async def join(self, user: str) -> WireLess:
        """One more device, logged in and subscribed."""
        link = self.come()
        await self.connect(link, user)
        await self.subscribe(link, user)
        return link

    async def connect(self, link: WireLess, user: str) -> None:
        await link.send(connect_packet(user, "x"), CONNACK)

    async def subscribe(self, link: WireLess, user: str) -> None:
        await link.send(subscribe_packet(1, (TOPICS.events(user), 1), (TOPICS.answers(user, "d"), 1)), SUBACK)

    async def leave(self, link: WireLess) -> None:
        """Go, and wait until the broker has forgotten."""
        task = next(visit.task for visit in self._broker._visits if cast("Any", visit.raw) is link)
        assert task is not None
        link.close()
        await asyncio.wait_for(task, BOUND_S)


class Count:
    """How many instructions there were."""

    def __init__(self) -> None:
        self.instructions = 0


@contextmanager
def counting() -> Generator[Count]:
    """Count what this thread does meanwhile, this function's caller left out."""
    count = Count()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if event == "opcode":
            count.instructions += 1
        elif not frame.f_code.co_filename.startswith(COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


Work = Callable[[Crowd, str], Awaitable[int]]


async def delivery(crowd: Crowd, user: str) -> int:
    link = await crowd.join(user)
    with counting() as count:
        crowd.binding.publish(TOPICS.events(user), b"an event", None)
        await link.expect(PUBLISH)
    return count.instructions


async def subscription(crowd: Crowd, user: str) -> int:
    link = crowd.come()
    await crowd.connect(link, user)
    with counting() as count:
        await crowd.subscribe(link, user)
    return count.instructions


async def connection(crowd: Crowd, user: str) -> int:
    with counting() as count:
        await crowd.connect(crowd.come(), user)
    return count.instructions


async def departure(crowd: Crowd, user: str) -> int:
    link = await crowd.join(user)
    with counting() as count:
        await crowd.leave(link)
    return count.instructions


async def cost_among(others: int, work: Work) -> int:
    """The least of some tries."""
    binding = AmqttBinding({"default": Listener(port=0)}, TOPICS, limits=FREE)
    await binding.start()
    try:
        crowd = Crowd(binding)
        for number in range(others):
            await crowd.join(f"other-{number}")
        return min([await work(crowd, f"alice-{number}") for number in range(5)])
    finally:
        await binding.stop()


@pytest.mark.parametrize("work", [delivery, subscription, connection, departure])
def test_it_costs_the_same_among_many_others(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    few, many = (asyncio.run(cost_among(others, work)) for others in (FEW, MANY))

    with capsys.disabled():
        print(f"\n{work.__name__}: {few} instructions among {FEW} others, {many} among {MANY}")  # noqa: T201
    assert few > 0
    assert many <= few * TOLERANCE
