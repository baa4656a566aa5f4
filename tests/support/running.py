"""A real embedded server in this process, on a thread and event loop of its own, and devices of real clients."""

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import uvloop

from ringline.client import SignalingClient
from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.server import Server, ServerConfig
from ringline_broker.service.ports import Clock
from ringline_broker.settings import Settings
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.recorder import Recorder

T = TypeVar("T")
_chance = random.SystemRandom()  # not the one that every test process seeds alike
UNHURRIED = Settings(request_rate=0)
"""Tests ask faster than people; those on limits bring their own settings."""


class LoopThread:
    """An event loop on a thread; of the kind that a server runs on, unless told otherwise."""

    def __init__(self, make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop) -> None:
        self.loop = make()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], bound_s: float = BOUND_S) -> T:
        return self.submit(work).result(bound_s)

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Callable[[], T], bound_s: float = BOUND_S) -> T:
        async def once() -> T:
            return work()

        return self.run(once(), bound_s)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


def free_port() -> int:
    """A port that is free, and not of those that the system gives to whoever connects somewhere meanwhile."""
    while True:
        port = _chance.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Device:
    """A client with a recorder on it."""

    def __init__(self, client: SignalingClient, heard: Recorder) -> None:
        self.client = client
        self.heard = heard

    @property
    def user(self) -> str:
        return self.client.user

    @property
    def name(self) -> str:
        return self.client.device

    def close(self) -> None:
        self.client.close()


class Ring:
    """A server and the devices of a test; closes all of them.

    Args:
        store: the store's URL.
        clock: None for the real one.
        config: other than the defaults.
    """

    def __init__(self, store: str = "memory:", clock: Clock | None = None, config: ServerConfig | None = None) -> None:
        self.clock = clock
        self._config = replace(config or ServerConfig(), store=store)
        if self._config.settings == Settings():
            self._config = replace(self._config, settings=UNHURRIED)
        self._port = free_port()
        listeners = {"default": Listener(port=self._port), "ws": Listener(port=0, websocket=True)}
        if config is None or config.listeners == ServerConfig().listeners:
            self._config = replace(self._config, listeners=listeners)
        self._thread = LoopThread()
        self._server: Server | None = None
        self._devices: list[Device] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for device in self._devices:
            device.close()
        self.stop()
        self._thread.close()

    def start(self) -> None:
        self._server = self._new_server()
        self._thread.run(self._server.start())

    def _new_server(self) -> Server:
        return Server(self._config, self.clock)

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._thread.run(server.stop())

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    @property
    def port(self) -> int:
        return self._port

    def url(self, scheme: str = "mqtt") -> str:
        port = self.server.ports()["ws"] if scheme == "ws" else self._port
        return f"{scheme}://127.0.0.1:{port}"

    def on_loop(self, work: Callable[[], T]) -> T:
        """Run something on the server's event loop."""
        return self._thread.call(work)

    def device(self, user: str, name: str | None = None, *, url: str | None = None, **more: Any) -> Device:
        """A connected device; `connect=False` leaves it unconnected."""
        connect = more.pop("connect", True)
        heard = Recorder()
        url = url or self.url()
        client = SignalingClient(url, user=user, device=name, listener=heard, group_listener=heard, **more)
        device = Device(client, heard)
        self._devices.append(device)
        if connect:
            client.connect()
            assert client.wait_connected(BOUND_S), f"{user} cannot connect"
        return device

    def advance(self, ms: int) -> None:
        """Move the server's time."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(ms)


def settings(**changes: Any) -> ServerConfig:
    """A configuration with other settings than the defaults."""
    return ServerConfig(settings=Settings(**changes))


def ring_with_files(folder: Path, clock: Clock | None = None) -> Ring:
    """A server whose invitations are on disk."""
    with suppress(FileExistsError):
        folder.mkdir()
    return Ring(f"sqlite:{folder / 'ringline.sqlite'}", clock)
