"""A real Mosquitto with a worker beside it, as a Ring: the same tests run over it as over the embedded server."""

from pathlib import Path
from typing import Any, Final, Self

from ringline_broker.server import ServerConfig
from ringline_broker.service.ports import Clock, Store
from ringline_broker.worker import Worker, WorkerConfig
from tests.support.deployed import PASSWORD, Deployed
from tests.support.running import Device, Ring
from tests.support.timed import redis_on_test_time

_RAW: Final = ("alice", "bob", "carol", "mallory")
"""Users whom tests let in without a client of ours."""


class TimedWorker(Worker):
    """A worker whose redis has the time of the test's clock, where that is moved by hand."""

    def open_store(self) -> Store:
        return redis_on_test_time(self._config.store, self._clock) or super().open_store()


class WorkerRing(Ring):
    """A worker of this process beside a Mosquitto of its own, which is configured as `ringline deploy mosquitto` does
    it; devices' users may log in there.

    Args:
        folder: for the broker's configuration.
        store, clock, config: as of a Ring; of the configuration only the settings count.
        group_topics: whether groups have topics.
    """

    def __init__(
        self, folder: Path, store: str = "memory:", clock: Clock | None = None, config: ServerConfig | None = None,
        *, group_topics: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(store, clock, config)
        self.mosquitto = Deployed(folder, *_RAW, group_topics=group_topics)
        self._port = self.mosquitto.port
        self._has_group_topics = group_topics

    def __enter__(self) -> Self:
        self.mosquitto.start()
        return super().__enter__()

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        self.mosquitto.stop()

    def device(self, user: str, name: str | None = None, *, url: str | None = None, **more: Any) -> Device:
        self.mosquitto.add(user)
        return super().device(user, name, url=url, password=PASSWORD, **more)

    def _new_server(self) -> Any:
        broker = self.mosquitto
        config = WorkerConfig(
            broker.worker, broker.share, self._config.store, settings=self._config.settings,
            manages_permissions=self._has_group_topics, has_group_topics=self._has_group_topics,
        )  # fmt: skip
        return TimedWorker(config, self.clock)
