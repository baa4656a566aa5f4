"""The embedded server: a store, the service and an aMQTT broker, put together."""

import asyncio
import contextlib
import gc
import logging
import resource
from dataclasses import dataclass, field
from pathlib import Path

from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt.binding import AmqttBinding, Listener
from ringline_broker.bindings.amqtt.credentials import Authority
from ringline_broker.bindings.amqtt.users import PasswordCheck, UsersFile
from ringline_broker.metrics import Metrics, Reading
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Clock, Store
from ringline_broker.service.service import Service
from ringline_broker.service.standing import prefixed, standing_of
from ringline_broker.service.timing import time_store
from ringline_broker.service.watch import store_fault
from ringline_broker.settings import Bounds, ConnectionLimits, Settings
from ringline_broker.stores import open_store

log = logging.getLogger(__name__)

_COLLECT_EVERY = 50_000
"""Objects made and not freed, between two looks for cycles."""
_OTHER_FILES = 64


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How a server is put together.

    Attributes:
        listeners: by name; one must be called `default`.
        store: the store's URL.
        durability: for sqlite, `full` or `normal`.
        users: the password file, or None where nobody has a password.
        authority: who vouches for devices' certificates, a PEM file; None where no device has one. Where there is
            neither, any name may log in.
        revoked: the authority's list of those revoked, a PEM file.
        settings: the extension's settings.
        bounds: what one connection may take of the server.
        connections: how many connections there may be.
        timed: whether it is counted how long the store takes.
    """

    listeners: dict[str, Listener] = field(default_factory=lambda: {"default": Listener()})
    store: str = "memory:"
    durability: str = "full"
    users: Path | None = None
    authority: Path | None = None
    revoked: Path | None = None
    settings: Settings = field(default_factory=Settings)
    bounds: Bounds = field(default_factory=Bounds)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    timed: bool = False


class Server:
    """An embedded server.

    Args:
        config: how it is put together.
        clock: where time comes from.
    """

    def __init__(self, config: ServerConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._metrics = Metrics()
        self._store: Store | None = None
        self._service: Service | None = None
        self._binding: AmqttBinding | None = None
        self._is_draining = False

    async def start(self) -> None:
        """Open the store, publish what a crash left unpublished, and listen.

        Raises:
            ValueError: the store's URL or the durability is none there is.
            StoreInUse: another server has the store open; the message names it.
            StoreUnavailable: the store cannot be opened.
            BadUsersFile: the password file cannot be read.
            BadCertificate: the authority, or its list, cannot be read.
            CannotListen: a port is in use, or a certificate cannot be read.
        """
        binding = self.make_binding()
        store = await asyncio.to_thread(self.open_store)
        if self._config.timed:
            time_store(store, self._metrics)
        service = Service(store, binding, self._clock, self._config.settings, self._metrics)
        binding.on_request, binding.now, binding.is_member = service.take, service.now, service.is_member
        try:
            await service.start()
            await binding.start()
        except BaseException:
            await service.stop()
            raise
        self._store, self._service, self._binding = store, service, binding

    def open_store(self) -> Store:
        """The store of this configuration; a subclass may give another, or wrap it."""
        return open_store(self._config.store, self._clock, self._config.durability)

    def make_binding(self) -> AmqttBinding:
        """The binding of this configuration, not started; a subclass may give another."""
        config = self._config
        certificates = None if config.authority is None else Authority(config.authority, config.revoked)
        passwords = None if config.users is None else PasswordCheck(UsersFile(config.users))
        topics = Topics(config.settings.prefix)
        return AmqttBinding(
            config.listeners, topics, passwords, certificates, bounds=config.bounds, limits=config.connections
        )

    def reload(self) -> None:
        """Read certificates, revocations and users again. Who is connected stays, but for those who may no longer.

        Raises:
            CannotListen, BadCertificate, BadUsersFile: as `start`; what stood before stays in force.
        """
        if self._binding is not None:
            self._binding.reload()

    async def stop(self) -> None:
        """Finish the requests that were taken, then close everything; done within seconds."""
        self._is_draining = True
        if self._service is not None:
            await self._service.stop()
        if self._binding is not None:
            await self._binding.stop()

    @property
    def port(self) -> int:
        """The port of the default listener."""
        return self.ports()["default"]

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        return {} if self._binding is None else self._binding.ports()

    def counts(self) -> dict[str, int]:
        """What the extension did since the start, see metrics.Counters."""
        return {} if self._service is None else self._service.counters.as_dict()

    async def reading(self) -> Reading:
        """What was counted since the start, and how things stand."""
        if self._service is None or self._store is None or self._binding is None:
            return Reading(self._metrics)
        gauges = await standing_of(self._service, self._store) | prefixed("broker", self._binding.standing())
        return Reading(self._metrics, {"broker": self._binding.counters()}, gauges)

    async def unready(self) -> str:
        """Why requests are not taken just now; empty where they are."""
        if self._is_draining:
            return "draining: it is about to end"
        if self._store is None or self._binding is None or not self._binding.is_listening:
            return "starting"
        return await store_fault(self._store)


def allow_many_connections(limits: ConnectionLimits) -> None:
    """Ask the system for as many open files as it gives at the most, and say where that is fewer than the limits allow.

    For a process that is a server and nothing else: many systems give 1,024 at first, a connection takes one.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems say more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_devices + limits.max_logins + _OTHER_FILES
    if given < wanted:
        log.warning(
            "the system gives %d open files, and as many connections as are allowed want %d: "
            "raise its limit (ulimit -n), or lower max_devices and max_logins", given, wanted,
        )  # fmt: skip


def calm_collector() -> None:
    """Have the garbage collector look more seldom, and never at what was loaded at the start.

    For a process that is a server and nothing else. Python's own pace, a look every 700 objects, took 4 % of a busy
    server's time and found next to nothing, since what a request makes has no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
