"""The embedded binding: an aMQTT broker in this process, and the gate to it."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.errors import BrokerError

from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt.broker import HardenedBroker
from ringline_broker.bindings.amqtt.counters import BrokerCounters
from ringline_broker.bindings.amqtt.credentials import Authority, Credentials, Identity, Login
from ringline_broker.bindings.amqtt.listening import CannotListen, Door, tls_context
from ringline_broker.bindings.amqtt.users import PasswordCheck
from ringline_broker.service.ports import Incoming, Reach
from ringline_broker.settings import Bounds, ConnectionLimits

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

    def as_door(self, authority: Path | None, *, only_certificates: bool) -> Door:
        """As the broker wants it; see `tls_context` for the arguments.

        Raises:
            CannotListen: the files are no certificate and its key, or no authority.
        """
        tls = None
        if self.certfile is not None:
            keyfile = self.keyfile or self.certfile
            tls = tls_context(self.certfile, keyfile, authority, only_certificates=only_certificates)
        return Door(self.host, self.port, self.websocket, tls)


class AmqttBinding:
    """Runs the broker. Connect `on_request`, `now` and `is_member` before starting it.

    Args:
        listeners: by name; one must be called `default`.
        topics: the prefix.
        passwords: how passwords are checked; None where there are none.
        certificates: who vouches for devices' certificates; None where there are none. Where there is neither, any
            name may log in.
        bounds: what one connection may take of the server.
        limits: how many connections there may be.
    """

    def __init__(
        self,
        listeners: dict[str, Listener],
        topics: Topics,
        passwords: PasswordCheck | None = None,
        certificates: Authority | None = None,
        bounds: Bounds | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.has_group_topics = True
        self._listeners = listeners
        self._topics = topics
        self._certificates = certificates
        self._only_certificates = passwords is None
        self._credentials = Credentials(passwords, certificates)
        self._bounds = bounds or Bounds()
        self._limits = limits or ConnectionLimits()
        self._broker: HardenedBroker | None = None
        self.on_request: Callable[[Incoming], None] = _drop
        self.now: Callable[[], int] = int
        self.is_member: Callable[[str, str], Awaitable[bool]] = _nobody

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            CannotListen: one cannot be opened.
        """
        config: dict[str, Any] = {
            "listeners": {name: {"type": "tcp", "bind": "127.0.0.1:0"} for name in self._listeners},  # not looked at
            "plugins": {_PLUGIN: {"gate": self}},
        }
        try:
            broker = HardenedBroker(config, self._doors(), self, self._bounds, self._limits)
            await broker.start()
        except (BrokerError, OSError, ValueError) as failed:
            raise CannotListen(str(failed.__cause__ or failed)) from failed
        self._broker = broker

    def _doors(self) -> dict[str, Door]:
        authority = None if self._certificates is None else self._certificates.path
        return {
            name: listener.as_door(authority, only_certificates=self._only_certificates)
            for name, listener in self._listeners.items()
        }

    def reload(self) -> None:
        """Read certificates, revocations and users again. Who is connected stays, unless they may no longer.

        Raises:
            CannotListen, BadCertificate, BadUsersFile: one cannot be read; all that was known before stays in force.
        """
        doors = self._doors()
        self._credentials.reload()
        if self._broker is not None:
            self._broker.replace_doors(doors)

    async def stop(self) -> None:
        """Close every connection and listener; a second call does nothing."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.shutdown()
        self._credentials.close()

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        return {} if self._broker is None else self._broker.ports()

    @property
    def is_listening(self) -> bool:
        """Whether devices can connect."""
        return self._broker is not None

    def counters(self) -> BrokerCounters:
        """What became of connections since the start."""
        return BrokerCounters() if self._broker is None else self._broker.counters

    def standing(self) -> dict[str, int]:
        """How many connections there are: `devices`, and those `logging_in`."""
        return {} if self._broker is None else self._broker.standing()

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach:  # noqa: ARG002 - MQTT 5 has expiry
        """Hand a message to the devices that subscribe to the topic."""
        if self._broker is None:
            return Reach.NOBODY
        return Reach.SOMEBODY if self._broker.deliver(topic, payload) else Reach.NOBODY

    @property
    def is_responsive(self) -> bool:
        """Always: the broker is here."""
        return True

    def open_group(self, gid: str, users: Collection[str]) -> None:
        """Nothing: who subscribes to a group's topic is looked up then."""

    def close_group(self, gid: str, users: Collection[str] | None) -> None:
        """Take the group's topic away from the devices of these users, or from all."""
        if self._broker is not None:
            self._broker.take_away(self._topics.group_events(gid), users)

    # The gate.

    def knows(self, login: Login) -> bool:
        """Whether it is known at no cost that this login is right, or none is asked for."""
        return self._credentials.knows(login)

    async def identify(self, login: Login) -> Identity | None:
        """Who this is; None where the login is wrong."""
        return await self._credentials.identify(login)

    def look(self) -> None:
        """Read the users again, where their file has changed."""
        self._credentials.look()

    def may_stay(self, identity: Identity) -> bool:
        """Whether who logged in before could do so again."""
        return self._credentials.may_stay(identity)

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
    log.warning("request of user %s dropped: nobody takes requests", incoming.user, extra={"user": incoming.user})
