"""A real Mosquitto with the configuration that `ringline deploy mosquitto` writes, and its users."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.control import Control, connected
from ringline_broker.bindings.mosquitto.users import Users
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.deployment.mosquitto import (
    ADMIN,
    WORKER,
    Site,
    config_file,
    find_plugin,
    read_admin,
    worker_env,
    write,
)
from ringline_broker.service.clock import SystemClock
from tests.support.mosquitto import Mosquitto
from tests.support.services import missing

T = TypeVar("T")
PASSWORD: Final = "a password of this test"


class Deployed(Mosquitto):
    """One broker of a deployment.

    Args:
        folder: for the deployment.
        group_topics: as of a Site.
        users: who may log in from the start, with PASSWORD.

    Attributes:
        left_out: settings of the configuration that it is started without.
    """

    def __init__(self, folder: Path, *users: str, group_topics: bool = False) -> None:
        super().__init__(folder)
        self.folder = folder / f"deployment-{self.port}"
        account = "root" if os.geteuid() == 0 else "mosquitto"  # another could not read a test's files
        plugin = find_plugin() or missing("mosquitto_dynamic_security.so")
        site = Site(
            self.folder, "127.0.0.1", self.port, f"mqtt://127.0.0.1:{self.port}", plugin, group_topics=group_topics,
            account=account,
        )  # fmt: skip
        write(site, ("", "", ""), force=False)
        self.env = dict(line.split("=", 1) for line in worker_env(self.folder).read_text().splitlines())
        self.share = self.env["RINGLINE_SHARE"]
        self.left_out: tuple[str, ...] = ()
        self._first = users
        self._known: set[str] = set()
        self._adding = threading.Lock()

    def start(self) -> None:
        super().start()
        self.add(*self._first)

    def add(self, *users: str) -> None:
        """Let users log in with PASSWORD; those who may already are passed over, as their connections would end."""
        with self._adding:
            new = [user for user in users if user not in self._known]
            self._known.update(new)
            if new:
                self.control(lambda control: _add(control, new))

    def control(self, work: Callable[[Control], Awaitable[T]]) -> T:
        """Command the broker."""

        async def on_a_connection() -> T:
            address = BrokerAddress("127.0.0.1", self.port, ADMIN, read_admin(self.folder).password.encode())
            async with connected(address, SystemClock()) as control:
                return await work(control)

        return asyncio.run(on_a_connection())

    @property
    def worker(self) -> BrokerAddress:
        """How a worker logs in."""
        return BrokerAddress("127.0.0.1", self.port, WORKER, self.env["RINGLINE_PASSWORD"].encode())

    def url(self, user: str) -> str:
        """How a user logs in."""
        return f"mqtt://{user}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}"

    def _settings(self) -> str:
        lines = config_file(self.folder).read_text().splitlines(keepends=True)
        return "".join(line for line in lines if line.split(" ")[0] not in self.left_out)


async def _add(control: Control, users: list[str]) -> None:
    for user in users:
        await Users(control, Topics()).add(user, PASSWORD)
