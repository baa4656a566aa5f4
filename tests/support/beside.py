"""A real Mosquitto with a worker beside it, as a Ring: the same tests run over it as over the embedded server."""

from pathlib import Path
from typing import Any, Final, Self

from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.server import ServerConfig
from ringline_broker.service.ports import Clock
from ringline_broker.worker import Worker, WorkerConfig
from tests.support.mosquitto import Mosquitto
from tests.support.running import Ring

SHARE: Final = "a secret of this deployment"
_SETTINGS: Final = "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true"


class WorkerRing(Ring):
    """A worker of this process beside a Mosquitto of its own.

    Args:
        folder: for the broker's configuration.
        store, clock, config: as of a Ring; of the configuration only the settings count.
    """

    def __init__(
        self, folder: Path, store: str = "memory:", clock: Clock | None = None, config: ServerConfig | None = None
    ) -> None:
        super().__init__(store, clock, config)
        self.mosquitto = Mosquitto(folder, _SETTINGS)
        self._port = self.mosquitto.port

    def __enter__(self) -> Self:
        self.mosquitto.start()
        return super().__enter__()

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        self.mosquitto.stop()

    def _new_server(self) -> Any:
        address = BrokerAddress("127.0.0.1", self._port)
        return Worker(WorkerConfig(address, SHARE, self._config.store, settings=self._config.settings), self.clock)
