"""What is attacked: our broker, and aMQTT as it is shipped with a plugin that does all that a plugin can.

Both know the same users (everybody, with `password_of(user)`) and the same topics, so that one attack runs on both.
"""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from amqtt.broker import Broker
from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import ApplicationMessage, Session

from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt.binding import AmqttBinding, Listener
from ringline_broker.bindings.amqtt.broker import HardenedBroker
from ringline_broker.bindings.amqtt.link import StreamLink
from ringline_broker.bindings.amqtt.users import PasswordCheck
from ringline_broker.service.ports import Incoming
from ringline_broker.settings import Bounds, ConnectionLimits
from tests.attacks.raw_mqtt import password_of
from tests.support.bound import BOUND_S
from tests.support.running import LoopThread

SLOW = "a password that takes long to check, and is wrong"
TOPICS = Topics()

_MANY = 1_000_000
FREE = ConnectionLimits(_MANY, _MANY, _MANY, _MANY, _MANY, _MANY, _MANY, _MANY, 1, _MANY, _MANY, _MANY * 1_000)
"""Limits that no attack meets; those on the limits bring their own."""

Request = tuple[str, bytes]
"""A user, and what the extension was told that this user asks for."""


class Doorman(PasswordCheck):
    """Checks passwords without a file; SLOW is only answered once `answer` is called, with `slow_is_right`."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._may_answer = asyncio.Event()
        self.is_asked = threading.Event()
        self.slow_is_right = False

    async def is_right(self, user: str, password: bytes) -> bool:
        """As aMQTT's plugin asks."""
        return await self.check(user, password) is not None

    def knows(self, user: str, password: bytes) -> bool:  # noqa: ARG002 - as PasswordCheck
        return False

    async def check(self, user: str, password: bytes) -> str | None:
        is_right = password.decode(errors="replace") == password_of(user)
        if password.decode(errors="replace") == SLOW:
            self.is_asked.set()
            await self._may_answer.wait()
            is_right = self.slow_is_right
        return "a hash" if is_right else None

    def is_in_force(self, user: str, hashed: str) -> bool:  # noqa: ARG002 - likewise
        return True

    def look(self) -> None:
        pass

    def answer(self) -> None:
        self._loop.call(self._may_answer.set)

    def close(self) -> None:
        pass


class Target(Protocol):
    """A broker under attack, with an extension that takes requests and sends events."""

    port: int
    loop: LoopThread
    doorman: Doorman
    requests: "queue.SimpleQueue[Request]"

    def event(self, topic: str, payload: bytes) -> None:
        """Let the extension send an event."""
        ...

    def events(self, topic: str, payload: bytes, count: int) -> None:
        """Let it send many, as fast as the broker takes them."""
        ...

    @property
    def broker(self) -> Broker:
        """The broker itself."""
        ...

    @property
    def filters(self) -> list[str]:
        """The topic filters that the broker has in its table."""
        ...

    @property
    def sessions(self) -> int:
        """How many sessions the broker has."""
        ...


def next_request(target: Target, bound_s: float = BOUND_S) -> Request | None:
    """What the extension is told next; None where nothing comes."""
    with suppress(queue.Empty):
        return target.requests.get(timeout=bound_s)
    return None


class Ours:
    """The hardened broker. Requests are noted and settled at once, unless `settle` is False.

    Args:
        bounds: for one connection.
        listeners: other than one over TCP.
        limits: for all of them; FREE if not given.
    """

    def __init__(
        self,
        bounds: Bounds | None = None,
        listeners: dict[str, Listener] | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.loop = LoopThread()
        self.doorman = Doorman(self.loop)
        self.settle = True
        self.unsettled: list[Callable[[], None]] = []
        self.binding = AmqttBinding(
            listeners or {"default": Listener(port=0)}, TOPICS, self.doorman, bounds=bounds, limits=limits or FREE
        )
        self.binding.on_request = self._take
        self.loop.run(self.binding.start())
        self.port = self.binding.ports()["default"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.doorman.answer()
        self.loop.run(self.binding.stop())
        for _turn in range(5):  # the loop sees which handshakes are off
            self.loop.call(lambda: None)
        self.loop.close()

    def _take(self, incoming: Incoming) -> None:
        self.requests.put((incoming.user, incoming.payload))
        if self.settle:
            incoming.settle()
        else:
            self.unsettled.append(incoming.settle)

    def narrow_sockets(self) -> None:
        """Let the system take little of what the broker sends and nobody reads."""
        for device in list(self.broker._devices):
            if isinstance(device.link, StreamLink):
                raw = device.link._transport.get_extra_info("socket")
                self.loop.call(partial(raw.setsockopt, socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096))

    def settle_all(self) -> None:
        """Settle what was not, and from now on everything at once."""
        self.settle = True
        for settle in self.unsettled:
            self.loop.call(settle)

    def event(self, topic: str, payload: bytes) -> None:
        self.events(topic, payload, 1)

    def events(self, topic: str, payload: bytes, count: int) -> None:
        self.loop.call(lambda: [self.binding.publish(topic, payload, None) for _ in range(count)])

    def wait_for_connections(self, count: int) -> None:
        """Wait until no more than so many connections are left."""
        self.loop.run(asyncio.wait_for(self._wait_for_connections(count), BOUND_S))

    async def _wait_for_connections(self, count: int) -> None:
        while len(tasks := self.broker._tasks()) > count:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    @property
    def broker(self) -> HardenedBroker:
        broker = self.binding._broker
        assert broker is not None
        return broker

    @property
    def filters(self) -> list[str]:
        return self.loop.call(lambda: list(self.broker.subscriptions))

    @property
    def sessions(self) -> int:
        return len(self.broker.sessions)


class Stock:
    """aMQTT as it is shipped."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.loop = LoopThread(asyncio.new_event_loop)
        self.doorman = Doorman(self.loop)
        self.port, self.websocket_port = self.loop.run(self._start())

    async def _start(self) -> list[int]:
        self._broker = Broker(
            {
                "listeners": {
                    "default": {"type": "tcp", "bind": "127.0.0.1:0"},
                    "ws": {"type": "ws", "bind": "127.0.0.1:0"},
                },
                "plugins": {"tests.attacks.targets.StockPlugin": {"target": self}},
            }
        )
        self._serve = self._broker.stream_connected
        self._writers: list[asyncio.StreamWriter] = []
        setattr(self._broker, "stream_connected", self._connected)  # noqa: B010 - type checkers forbid it the other way
        await self._broker.start()
        instances: list[Any] = [server.instance for server in self._broker._servers.values()]
        return [int(next(iter(instance.sockets)).getsockname()[1]) for instance in instances]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.doorman.answer()
        self.loop.run(self._close())
        self.loop.close()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        self._writers.append(writer)
        await self._serve(reader, writer, listener_name)

    async def _close(self) -> None:
        """Attacks leave it in no state to shut down by itself."""
        with suppress(Exception):
            await asyncio.wait_for(self.broker.shutdown(), 2)
        for writer in self._writers:
            writer.transport.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        closed = [writer.wait_closed() for writer in self._writers]
        await asyncio.gather(*rest, *closed, return_exceptions=True)

    @property
    def broker(self) -> Broker:
        return self._broker

    def event(self, topic: str, payload: bytes) -> None:
        self.events(topic, payload, 1)

    def events(self, topic: str, payload: bytes, count: int) -> None:
        async def send() -> None:
            for _ in range(count):
                await self.broker.internal_message_broadcast(topic, payload)

        self.loop.run(send())

    @property
    def filters(self) -> list[str]:
        return self.loop.call(lambda: list(self.broker.subscriptions))

    @property
    def sessions(self) -> int:
        return len(self.broker.sessions)


class StockPlugin(BaseAuthPlugin, BaseTopicPlugin):
    """The same users and topics, by what aMQTT offers to plugins."""

    @dataclass
    class Config:  # pyright: ignore[reportIncompatibleVariableOverride] - how aMQTT wants it
        target: Any = None

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._target: Stock = self.config.target

    async def authenticate(self, *, session: Session) -> bool | None:
        return await self._target.doorman.is_right(session.username or "", (session.password or "").encode())

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        if session is None or topic is None:
            return False
        user = session.username or ""
        return topic == TOPICS.requests(user) if action is Action.PUBLISH else TOPICS.may_subscribe(user, topic)

    async def on_broker_message_broadcast(self, *, client_id: str, message: ApplicationMessage) -> None:
        session = self._target.broker.sessions[client_id][0]
        self._target.requests.put((session.username or "", bytes(message.data or b"")))


@contextmanager
def both() -> Generator[tuple[Stock, Ours]]:
    """One of each."""
    with Stock() as stock, Ours() as ours:
        yield stock, ours
