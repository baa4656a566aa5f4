"""The loads that the generator makes: calls through the extension, bare messages, invitations that stay open."""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from typing import TypedDict, cast

import msgpack

from benchmarks.orders import Order
from benchmarks.wire import LoadDevice, connect, tls_of

DEVICE = "device-1"
BOUND_S = 900.0


class Event(TypedDict):
    """What the loads read of an event."""

    ev: str
    iid: str
    by: str
    ts: int


@dataclass
class Tally:
    """What a run saw."""

    started: int = 0
    ended: int = 0
    payload_bytes: int = 0
    ring_ms: list[float] = field(default_factory=list[float])
    answer_ms: list[float] = field(default_factory=list[float])
    lag_ms: list[float] = field(default_factory=list[float])


class Load:
    """Connected devices, and a run of so many things with them. A subclass says how one begins and when it has ended.

    Args:
        order: what to do.
        port: where the server listens.
    """

    def __init__(self, order: Order, port: int) -> None:
        self.order = order
        self.port = port
        self.tls = tls_of(order.authority, order.certificate)
        self.tally = Tally()
        self.random = random.Random(order.seed)
        self._devices: list[LoadDevice] = []
        self._wanted = 0
        self._failure: Exception | None = None
        self._done: asyncio.Future[None] | None = None

    async def connect(self, count: int) -> None:
        """Connect so many more users, each subscribed to the two topics that a device of ours has."""
        for number in range(len(self._devices), len(self._devices) + count):
            user = f"u{number:05}"
            topics = [evt_topic(user), f"ringline/v1/u/{user}/d/{DEVICE}"]
            self._devices.append(await connect(self.port, user, topics, self._hear, self._lost, tls=self.tls))

    async def run(self, count: int) -> Tally:
        """Do it so many times; what was seen."""
        if self._failure:
            raise self._failure
        self.tally, self._wanted = Tally(), count
        if count:
            self._done = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(BOUND_S):
                await self.drive(count)
                await self._done
        return self.tally

    async def drive(self, count: int) -> None:
        """Begin: at the rate where there is one, else as many as may be outstanding; each that ends begins another."""
        if not self.order.rate:
            for _ in range(min(self.order.outstanding, count)):
                self.begin_next()
            return
        await self.begin_at([number / self.order.rate for number in range(count)])

    async def begin_at(self, moments: list[float]) -> None:
        """Begin one at each of these moments, seconds from now."""
        began = time.perf_counter()
        for moment in moments:
            if (wait := began + moment - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self.begin_next()

    def begin_next(self) -> None:
        """Begin one more, unless all have begun."""
        if self.tally.started < self._wanted:
            self.tally.started += 1
            self.begin()

    def begin(self) -> None:
        """Begin one."""
        raise NotImplementedError

    def heard(self, device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        """Take a message."""
        raise NotImplementedError

    def end(self) -> None:
        """One has come to its end."""
        self.tally.ended += 1
        if self.tally.ended == self._wanted and self._done and not self._done.done():
            self._done.set_result(None)

    def two_users(self) -> tuple[int, int]:
        """Any two."""
        first, second = self.random.sample(range(len(self._devices)), 2)
        return first, second

    def user(self, number: int) -> str:
        """The name of a user."""
        return self._devices[number].user

    def device(self, number: int) -> LoadDevice:
        """A user's device."""
        return self._devices[number]

    def request(self, op: str, iid: str, **more: object) -> bytes:
        """A request of the protocol, about an invitation."""
        return request(op, iid=iid, **more)

    def send(self, device: LoadDevice | int, topic: str, payload: bytes) -> None:
        """Publish at QoS 1."""
        self.tally.payload_bytes += len(payload)
        sender = self._devices[device] if isinstance(device, int) else device
        sender.publish(topic.encode(), payload)

    def _hear(self, device: LoadDevice, topic: bytes, payload: bytes) -> None:
        self.tally.payload_bytes += len(payload)
        try:
            self.heard(device, topic, payload)
        except Exception as failed:  # noqa: BLE001 - whatever it is, the run is over
            self._fail(failed)

    def _lost(self, device: LoadDevice) -> None:
        self._fail(ConnectionError(f"the server closed the connection of {device.user}"))

    def _fail(self, failed: Exception) -> None:
        self._failure = failed
        if self._done and not self._done.done():
            self._done.set_exception(failed)


class Connecting(Load):
    """More devices."""

    async def drive(self, count: int) -> None:
        for _ in range(count):
            await self.connect(1)
            self.end()


def request(op: str, **more: object) -> bytes:
    """A request of the protocol."""
    return msgpack.packb({"op": op, "id": os.urandom(8), "dev": DEVICE, **more})


def new_iid() -> str:
    """As long as a client's own."""
    return os.urandom(8).hex()


def req_topic(user: str) -> str:
    """Where a user's requests go."""
    return f"ringline/v1/u/{user}/req"


def evt_topic(user: str) -> str:
    """Where a user's devices hear."""
    return f"ringline/v1/u/{user}/evt"


def is_done(topic: bytes, payload: bytes) -> bool:
    """Whether this is an answer that says that it is done."""
    return topic.endswith(b"/d/" + DEVICE.encode()) and "err" not in msgpack.unpackb(payload)


def events(topic: bytes, payload: bytes) -> list[Event]:
    """The events of a message.

    Raises:
        RuntimeError: it is a refusal.
    """
    if not topic.endswith(b"/evt"):
        raise RuntimeError(f"refused: {msgpack.unpackb(payload)}")
    return cast("list[Event]", msgpack.unpackb(payload))
