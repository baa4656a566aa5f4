"""A private Mosquitto, a worker in this process and its store, put together: what `serve` starts instead of ours."""

import contextlib
import logging
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.deployment.mosquitto import find_program
from ringline_broker.metrics import Metrics, Reading
from ringline_broker.own_mosquitto.certificate import Certificate, keep
from ringline_broker.own_mosquitto.files import Listens, Logins, Wanted, hold, prepare
from ringline_broker.own_mosquitto.process import MosquittoProcess, NoMosquitto
from ringline_broker.service.ports import Clock
from ringline_broker.settings import Settings
from ringline_broker.stores.lock import FileLock
from ringline_broker.worker import Worker, WorkerConfig

log = logging.getLogger(__name__)

_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PrivateConfig:
    """How it is put together.

    Attributes:
        folder: for the broker's files; it belongs to one server at a time.
        listeners: what clients may connect to, by name; port 0 for any free one.
        logins: who may log in.
        store: the store's URL.
        durability: for sqlite, `full` or `normal`.
        settings: the extension's settings.
        max_devices: connections the broker takes in all.
        certificate: of the listeners that are encrypted.
        timed: whether it is counted how long the store takes.
    """

    folder: Path
    listeners: dict[str, Listens]
    logins: Logins = Logins.ANYBODY
    store: str = "memory:"
    durability: str = "full"
    settings: Settings = field(default_factory=Settings)
    max_devices: int = 10_000
    certificate: Certificate | None = None
    timed: bool = False


class PrivateServer:
    """A broker with the extension beside it, in the shape of `server.Server`.

    Args:
        config: how it is put together.
        clock: where the extension's time comes from.
    """

    def __init__(self, config: PrivateConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock
        self._lock: FileLock | None = None
        self._process: MosquittoProcess | None = None
        self._worker: Worker | None = None
        self._ports: dict[str, int] = {}

    async def start(self) -> None:
        """Take the folder, write the configuration, start the broker, then the worker.

        Raises:
            NoMosquitto: there is no broker, or it does not start.
            StoreInUse: another server has the folder, or the store; the message names it.
            BadDeployment: its files cannot be written or read.
            CannotListen: a certificate cannot be read.
            ValueError, StoreUnavailable, BrokerFailure: as `Worker.start`.
        """
        program = find_program()
        if program is None:
            text = "there is no mosquitto on PATH: install Mosquitto 2, on Debian `apt-get install mosquitto`"
            raise NoMosquitto(text)
        lock = hold(self._config.folder)
        try:
            await self._start(program)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    async def _start(self, program: Path) -> None:
        config = self._config
        listeners = {name: _with_port(one) for name, one in config.listeners.items()}
        own = _free_port(_LOOPBACK)
        wanted = Wanted(
            config.folder, tuple(listeners.values()), own, config.logins, config.settings.prefix, config.max_devices,
            config.certificate,
        )  # fmt: skip
        login = prepare(wanted)
        self._ports = {name: one.port for name, one in listeners.items()}
        self._process = MosquittoProcess(program, login.config)
        broker = BrokerAddress(_LOOPBACK, own, login.user, login.password.encode())
        self._worker = Worker(
            WorkerConfig(broker, login.share, config.store, config.durability, config.settings, timed=config.timed),
            self._clock,
        )
        await self._process.start()
        try:
            await self._worker.start()
        except BaseException:
            await self._process.stop()
            raise

    async def stop(self) -> None:
        """Finish the requests that were taken, then end the broker; done within seconds."""
        if self._worker is not None:
            await self._worker.stop()
        if self._process is not None:
            await self._process.stop()
        if self._lock is not None:
            self._lock.release()

    def reload(self) -> None:
        """Read the certificate again. Who is connected stays.

        Raises:
            CannotListen, OSError: it cannot be read, or not be kept; what stood before stays in force.
        """
        if self._process is not None and self._config.certificate is not None:
            keep(self._config.certificate, self._config.folder)
            self._process.reload()

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        return self._ports

    async def reading(self) -> Reading:
        """What was counted since the start, and how things stand."""
        return Reading(Metrics()) if self._worker is None else await self._worker.reading()

    async def unready(self) -> str:
        """Why requests are not taken just now; empty where they are."""
        return "starting" if self._worker is None else await self._worker.unready()


def _with_port(listens: Listens) -> Listens:
    return listens if listens.port else replace(listens, port=_free_port(listens.host))


def _free_port(host: str) -> int:
    """One that is free now: Mosquitto cannot be asked which it took."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
