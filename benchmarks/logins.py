"""Logins, and the small things that a device does among many others."""

import asyncio

import msgpack

from benchmarks.load import Load, new_iid, req_topic
from benchmarks.orders import Order
from benchmarks.wire import HOST, LoadDevice, connect


class Logins(Load):
    """Logs in, and goes without having subscribed to anything; one after the other."""

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._number = 0

    async def drive(self, count: int) -> None:
        for _ in range(count):
            await self.come_and_go()
            self.end()

    async def come_and_go(self) -> None:
        """Be connected for a moment."""
        user = login_user(self._number % self.order.names)
        self._number += 1
        device = await connect(self.port, user, [], _no_message, _no_loss, tls=self.tls)
        assert device.transport is not None
        device.transport.close()


class Handshakes(Logins):
    """The handshake of TLS, and nothing after it."""

    async def come_and_go(self) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, HOST, self.port, ssl=self.tls
        )
        transport.close()


class Questions(Load):
    """The first device asks; all others are silent."""

    def begin(self) -> None:
        self.send(0, req_topic(self.user(0)), self.request("get", new_iid()))

    def heard(self, device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        answer = msgpack.unpackb(payload)
        if not topic.startswith(f"ringline/v1/u/{device.user}/d/".encode()) or answer["err"]["code"] != 8010:
            raise RuntimeError(f"not an answer: {answer}")
        self.end()
        self.begin_next()


class Subscriptions(Load):
    """The first device subscribes to its own two topics, again and again; all others are silent."""

    async def connect(self, count: int) -> None:
        await super().connect(count)
        self.device(0).on_subscribed = self._subscribed

    def begin(self) -> None:
        self.device(0).subscribe()

    def _subscribed(self) -> None:
        self.end()
        self.begin_next()


def login_user(number: int) -> str:
    """A user who logs in."""
    return f"login-{number}"


def _no_message(_device: LoadDevice, _topic: bytes, _payload: bytes, /) -> None:
    """It subscribed to nothing."""


def _no_loss(_device: LoadDevice, /) -> None:
    """It goes by itself."""
