"""A worker: the extension as a process of its own, beside any MQTT 5 broker."""

import asyncio
import logging
from dataclasses import dataclass, field

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.permissions import Permissions
from ringline_broker.bindings.mosquitto.unmanaged import check_unmanaged
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.metrics import Metrics, Reading
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Clock, Store
from ringline_broker.service.service import Service
from ringline_broker.service.standing import prefixed, standing_of
from ringline_broker.service.timing import time_store
from ringline_broker.service.watch import StoreWatch, store_fault
from ringline_broker.settings import Settings
from ringline_broker.stores import open_store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How a worker is put together.

    Attributes:
        broker: where the broker is.
        share: the name of the share that all workers of a deployment have in common; a secret.
        store: the store's URL. Several workers need one that they share.
        durability: for sqlite, `full` or `normal`.
        settings: the extension's settings.
        bounds: what the connection to the broker takes and gives.
        manages_permissions: whether it looks after the permissions of a Mosquitto with dynamic security; the broker's
            user needs the right to.
        has_group_topics: whether groups get topics of their own there.
        timed: whether it is counted how long the store takes.
    """

    broker: BrokerAddress
    share: str = field(repr=False)
    store: str = field(default="memory:", repr=False)
    durability: str = "full"
    settings: Settings = field(default_factory=Settings)
    bounds: LinkBounds = field(default_factory=LinkBounds)
    manages_permissions: bool = False
    has_group_topics: bool = False
    timed: bool = False

    def __post_init__(self) -> None:
        if self.has_group_topics and not self.manages_permissions:
            raise ValueError("groups get topics only where the worker manages the broker's permissions")


class Worker:
    """A worker.

    Args:
        config: how it is put together.
        clock: where the extension's time comes from; the connection to the broker has the machine's.
    """

    def __init__(self, config: WorkerConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._metrics = Metrics()
        self._store: Store | None = None
        self._service: Service | None = None
        self._binding: WorkerBinding | None = None
        self._is_draining = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store, test the broker, publish what a crash left unpublished, and join the share.

        Raises:
            ValueError: the store's URL, the durability or the share's name is none there is.
            StoreInUse: another process has the store open.
            StoreUnavailable: the store cannot be opened.
            BrokerFailure: the broker cannot be reached, refuses the login, or does not do what a worker needs; or its
                permissions are managed by others, and this one is not told to.
            BrokerUnavailable: the broker's permissions cannot be managed.
        """
        config, real = self._config, SystemClock()
        topics, permissions = Topics(config.settings.prefix), None
        if config.manages_permissions:
            permissions = Permissions(
                config.broker, topics, config.share, real, has_group_topics=config.has_group_topics
            )
        binding = WorkerBinding(config.broker, topics, config.share, real, config.bounds, permissions)
        store = await asyncio.to_thread(self.open_store)
        if config.timed:
            time_store(store, self._metrics)
        service = Service(store, binding, self._clock, config.settings, self._metrics)
        binding.on_request, binding.now = service.take, service.now
        if permissions is not None:
            permissions.members = service.members
        try:
            await binding.start()
            if permissions is None:
                await check_unmanaged(config.broker, real)
            await service.start()
        except BaseException:
            await binding.stop()
            await service.stop()
            raise
        self._store, self._service, self._binding = store, service, binding
        watch = StoreWatch(store, real, binding.pause, binding.resume)
        self._watching = asyncio.create_task(watch.run(), name="ringline-store-watch")

    def open_store(self) -> Store:
        """The store of this configuration; a subclass may give another, or wrap it."""
        return open_store(self._config.store, self._clock, self._config.durability)

    async def stop(self) -> None:
        """Leave the share, finish the requests that were taken, then close everything; done within seconds."""
        self._is_draining = True
        if self._watching is not None:
            self._watching.cancel()
        if self._binding is not None:
            await self._binding.leave()
        if self._service is not None:
            await self._service.stop()
        if self._binding is not None:
            await self._binding.stop()

    def counts(self) -> dict[str, int]:
        """What the extension and its connection did since the start, see metrics.Counters and LinkCounters."""
        extension = {} if self._service is None else self._service.counters.as_dict()
        link = {} if self._binding is None else self._binding.counts()
        return extension | prefixed("link", link)

    async def reading(self) -> Reading:
        """What was counted since the start, and how things stand."""
        if self._service is None or self._store is None or self._binding is None:
            return Reading(self._metrics)
        gauges = await standing_of(self._service, self._store) | prefixed("link", self._binding.standing())
        durations = {"publish_seconds": self._binding.publish_seconds}
        return Reading(self._metrics, {"link": self._binding.counters}, gauges, durations)

    async def unready(self) -> str:
        """Why requests are not taken just now; empty where they are."""
        if self._is_draining:
            return "draining: it is about to end"
        if self._store is None or self._binding is None:
            return "starting"
        if not self._binding.is_connected:
            return "there is no connection to the broker"
        if (fault := await store_fault(self._store)):
            return fault
        return "" if self._binding.is_sharing else "it is not in the share"
