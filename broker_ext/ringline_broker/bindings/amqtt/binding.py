"""The embedded binding: an aMQTT broker in this process, and the gate to it."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.errors import BrokerError

from ringline.protocol.topics import Topics, id_fault
from ringline_broker.bindings.amqtt.broker import HardenedBroker
from ringline_broker.bindings.amqtt.device import Bounds
from ringline_broker.bindings.amqtt.listening import CannotListen, tls_context
from ringline_broker.bindings.amqtt.users import PasswordCheck
from ringline_broker.service.ports import Incoming, Reach

log = logging.getLogger(__name__)

_PLUGIN = "ringline_broker.bindings.amqtt.plugin.RinglinePlugin"


@dataclass(frozen=True, slots=True)
class Listener:
    """One address to listen on.

    Attributes:
        host: the address.
        port: the port; 0 for any free one.
        websocket: WebSocket instead of plain MQTT.
        certfile: for TLS, a PEM file of the certificate and those that vouch for it.
        keyfile: a PEM file of its key; where left out, the key is in `certfile` too.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    websocket: bool = False
    certfile: Path | None = None
    keyfile: Path | None = None

    def as_config(self) -> dict[str, Any]:
        """As aMQTT wants it.

        Raises:
            CannotListen: the files are no certificate and its key.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        config: dict[str, Any] = {"type": "ws" if self.websocket else "tcp", "bind": f"{host}:{self.port}"}
        if self.certfile is not None:
            keyfile = self.keyfile or self.certfile
            tls_context(self.certfile, keyfile)
            config |= {"ssl": True, "certfile": str(self.certfile), "keyfile": str(keyfile)}
        return config


class AmqttBinding:
    """Runs the broker. Connect `on_request`, `now` and `is_member` before starting it.

    Args:
        listeners: by name; one must be called `default`.
        topics: the prefix.
        passwords: how passwords are checked, or None where any name may log in.
        bounds: what one connection may take of the server.
    """

    def __init__(
        self,
        listeners: dict[str, Listener],
        topics: Topics,
        passwords: PasswordCheck | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._listeners = listeners
        self._topics = topics
        self._passwords = passwords
        self._bounds = bounds or Bounds()
        self._broker: HardenedBroker | None = None
        self.on_request: Callable[[Incoming], None] = _drop
        self.now: Callable[[], int] = int
        self.is_member: Callable[[str, str], Awaitable[bool]] = _nobody

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            CannotListen: one cannot be opened.
        """
        config = {
            "listeners": {name: listener.as_config() for name, listener in self._listeners.items()},
            "plugins": {_PLUGIN: {"gate": self}},
        }
        try:
            broker = HardenedBroker(config, self, self._bounds)
            await broker.start()
        except (BrokerError, OSError, ValueError) as failed:
            raise CannotListen(str(failed.__cause__ or failed)) from failed
        self._broker = broker

    async def stop(self) -> None:
        """Close every connection and listener; a second call does nothing."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.shutdown()
        if self._passwords is not None:
            self._passwords.close()

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        return {} if self._broker is None else self._broker.ports()

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach:  # noqa: ARG002 - MQTT 5 has expiry
        """Hand a message to the devices that subscribe to the topic."""
        if self._broker is None:
            return Reach.NOBODY
        return Reach.SOMEBODY if self._broker.deliver(topic, payload) else Reach.NOBODY

    def close_group(self, gid: str, users: Collection[str] | None) -> None:
        """Take the group's topic away from the devices of these users, or from all."""
        if self._broker is not None:
            self._broker.take_away(self._topics.group_events(gid), users)

    # The gate.

    async def may_enter(self, user: str, password: bytes) -> bool:
        """Whether this user may log in with this password."""
        if id_fault(user) is not None:
            return False
        return self._passwords is None or await self._passwords.is_right(user, password)

    async def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Whether the user's devices may have this topic filter: their own, and those of their groups."""
        if self._topics.may_subscribe(user, topic_filter):
            return True
        gid = self._topics.group_of(topic_filter)
        return gid is not None and await self.is_member(gid, user)

    def request_topic(self, user: str) -> str:
        """The one topic the user's devices may publish on."""
        return self._topics.requests(user)

    def take(self, user: str, payload: bytes, settle: Callable[[], None]) -> None:
        """Take a request of this user, stamped with the time it came."""
        self.on_request(Incoming(user, payload, self.now(), settle))


async def _nobody(_gid: str, _user: str) -> bool:
    return False


def _drop(incoming: Incoming) -> None:
    log.warning("request of user %s dropped: nobody takes requests", incoming.user)
