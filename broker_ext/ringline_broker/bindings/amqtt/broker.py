"""aMQTT's broker, hardened. The only module that uses private names of aMQTT, whose version is pinned for that.

What it cures is in docs/decisions/0002; every cure has an attack under tests/attacks.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from amqtt.broker import Broker, Server
from amqtt.contexts import Action
from amqtt.errors import BrokerError
from amqtt.events import BrokerEvents
from amqtt.session import Session

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.admission import Admission
from ringline_broker.bindings.amqtt.counters import BrokerCounters
from ringline_broker.bindings.amqtt.device import LOGGED_CHARS, Device
from ringline_broker.bindings.amqtt.link import Link
from ringline_broker.bindings.amqtt.listening import Door, Listening, open_sockets
from ringline_broker.bindings.amqtt.mqtt311 import ConnectRefused, Publish
from ringline_broker.bindings.amqtt.plugin import Gate, login_of
from ringline_broker.bindings.amqtt.sweeper import Sweeper
from ringline_broker.bindings.amqtt.visit import Visit
from ringline_broker.bindings.framing import Malformed
from ringline_broker.service.buckets import Bucket
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.service.sparing import SparingLog
from ringline_broker.settings import Bounds, ConnectionLimits

log = logging.getLogger(__name__)

_GOODBYE_S = 1.0
_CUT_OFF_S = 0.5


class _States:
    """As much of a session's state machine as aMQTT uses here; the original takes 0.4 ms to build."""

    def __init__(self) -> None:
        self.state = "new"

    def connect(self) -> None:
        self.state = "connected"

    def disconnect(self) -> None:
        self.state = "disconnected"

    def is_connected(self) -> bool:
        return self.state == "connected"


class _Session(Session):
    transitions: Any

    def _init_states(self) -> None:
        self.transitions = _States()


class HardenedBroker(Broker):
    """A broker whose sessions are all clean, whose devices are who they say, and whose topics are Ringline's.

    Args:
        config: aMQTT's configuration.
        doors: where to listen, by the names that the configuration has too.
        gate: who may log in, who may have which topic, and where requests go; the plugin has the same.
        bounds: what one connection may take of the server.
        limits: how many connections there may be.
    """

    def __init__(
        self, config: dict[str, Any], doors: dict[str, Door], gate: Gate, bounds: Bounds, limits: ConnectionLimits
    ) -> None:
        super().__init__(config)
        self._doors = doors
        self._gate = gate
        self._bounds = bounds
        self._limits = limits
        self._admission = Admission(limits)
        self.counters = BrokerCounters()
        self.log = SparingLog(log)
        self._visits: set[Visit] = set()
        self._devices: dict[Device, Visit] = {}
        self._audience: dict[str, dict[Device, int]] = {}
        self._taken_away = 0
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            BrokerError: a listener cannot be opened.
        """
        self.logger.disabled = True  # it would log a failure with its traceback; who starts us says it in a line
        try:
            await super().start()
        except BrokerError:
            for server in self._servers.values():
                await server.close_instance()
            raise
        finally:
            self.logger.disabled = False
        sweeper = Sweeper(self._devices, self._gate, self._limits, self.log)
        self._sweeper = asyncio.create_task(sweeper.run(), name="ringline-sweeper")

    async def shutdown(self) -> None:
        """Close every connection and listener, within about two seconds whatever the other ends do."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        closing = [asyncio.create_task(server.close_instance()) for server in self._servers.values()]
        self._servers.clear()
        for visit in tuple(self._visits):
            if visit.device is None:
                visit.send_away()
            else:
                visit.device.hang_up()
        await _done([*closing, *self._tasks()], _GOODBYE_S)
        for visit in tuple(self._visits):
            visit.send_away()
        await _done([*closing, *self._tasks()], _CUT_OFF_S)
        for task in closing:
            task.cancel()
        await super().shutdown()

    def _tasks(self) -> list[asyncio.Task[Any]]:
        return [visit.task for visit in self._visits if visit.task is not None]

    def replace_doors(self, doors: dict[str, Door]) -> None:
        """Give whoever connects from now on the certificates of these; nobody who is connected notices."""
        self._doors = doors
        instances: dict[str, Any] = {name: server.instance for name, server in self._servers.items()}
        for name, listening in instances.items():
            listening.door = doors[name]

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        instances: dict[str, Any] = {name: server.instance for name, server in self._servers.items()}
        return {name: int(next(iter(instance.sockets)).getsockname()[1]) for name, instance in instances.items()}

    def standing(self) -> dict[str, int]:
        """How many connections there are: `devices`, and those `logging_in`."""
        return {"devices": self._admission.devices, "logging_in": self._admission.strangers}

    def deliver(self, topic: str, payload: bytes) -> int:
        """Send a message to whoever subscribes to just this topic; how many devices that was."""
        raw = topic.encode()
        # a snapshot, taken and sent to without a pause in which somebody could come or go
        audience = tuple(self._audience.get(topic, {}).items())
        return sum(device.send(raw, payload, qos) for device, qos in audience)

    @property
    def subscriptions(self) -> dict[str, list[tuple[Session, int]]]:
        """Who subscribes to what, as aMQTT tells its plugins."""
        return {
            topic: [(device.session, qos) for device, qos in audience.items() if device.session is not None]
            for topic, audience in self._audience.items()
        }

    # Connections.

    async def _start_listeners(self) -> None:
        for name, door in self._doors.items():
            sockets = await open_sockets(door.host, door.port)
            listening = Listening(sockets, door, self._bounds, self._accepted)
            self._servers[name] = Server(name, listening)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - it is closed like one

    def _accepted(self, listening: Listening, raw: socket.socket, peer: str) -> None:
        """Serve a connection in a task of its own, or send it away at once."""
        visit = Visit(raw, peer, time.monotonic())
        if not self._admission.lets_in(visit.address, visit.began):
            self.counters.turned_away += 1
            self.log.warning("connection from %s sent away: too many from there, or too many not logged in", peer)
            raw.close()
            return
        self.counters.connections += 1
        self._admission.came(visit)
        self._visits.add(visit)
        visit.task = asyncio.create_task(self._receive(visit, listening))
        # and not at its end: a task that is cancelled before it began never gets there
        visit.task.add_done_callback(partial(self._left, visit))

    async def _receive(self, visit: Visit, listening: Listening) -> None:
        try:
            link = await listening.open(visit.raw)
        except OSError as failed:
            self.log.info("connection from %s ended in its handshake: %s", visit.peer, failed)
            return
        device = visit.device = self._new_device(link, visit.began)
        self._devices[device] = visit
        await self._serve(visit, device)

    def _left(self, visit: Visit, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.error("connection from %s failed", visit.peer, exc_info=failed)
        self._visits.discard(visit)
        self._admission.left(visit)
        if visit.device is None:
            visit.raw.close()

    def _new_device(self, link: Link, began: float) -> Device:
        pace = Bucket(self._limits.packet_rate, self._limits.packet_burst, began)
        return Device(self, self.plugins_manager, link, self._bounds, pace, began)

    async def _serve(self, visit: Visit, device: Device) -> None:
        link = device.link
        try:
            await self._converse(visit, device)
        except Malformed as broken:
            self.log.warning("connection from %s closed: %s", link.peer, str(broken))  # a log may keep what it is given
        except Exception:
            log.exception("connection from %s failed", link.peer)
        finally:
            try:
                device.hang_up()
                self.counters.cut_off += device.is_cut_off
                await link.closed()  # bounded by the sweeper, which cuts off who is not gone in time
            finally:
                del self._devices[device]

    async def _converse(self, visit: Visit, device: Device) -> None:
        try:
            connect = await device.read_connect()
            session = None if connect is None else await self._admit(visit, device, connect)
        except ConnectRefused as refused:
            self.counters.refused += 1
            self.log.warning("connection from %s refused: %s", device.link.peer, str(refused))
            device.link.write(refused.connack)
            return
        if session is None:
            return
        try:
            await device.serve()
        finally:
            await self._forget(device, session)

    async def _admit(self, visit: Visit, device: Device, connect: mqtt311.Connect) -> Session | None:
        """Authenticate first; only then anything of the broker's changes."""
        if connect.has_will:
            text = "it has a will, which Ringline does not offer"
            raise ConnectRefused(text, mqtt311.connack(mqtt311.NOT_AUTHORIZED))
        session = _Session()
        session.username = connect.username
        session.password = (connect.password or b"").decode("utf-8", "surrogateescape")
        session.keep_alive = connect.keep_alive_s
        session.clean_session = True
        session.remote_address = device.link.peer
        session.ssl_object = device.link.tls
        if not await self._is_who_it_says(visit, session):
            what = "password" if session.ssl_object is None else "password, or certificate,"
            text = f"wrong user name or {what} for user {(connect.username or '')[:LOGGED_CHARS]!r}"
            raise ConnectRefused(text, mqtt311.connack(mqtt311.BAD_CREDENTIALS))
        if device.is_closed:  # its time was over meanwhile; it must not take over from one that lives
            return None
        if (fault := self._admission.fault(visit)) is not None:
            raise ConnectRefused(fault, mqtt311.connack(mqtt311.UNAVAILABLE))
        user = session.username or ""
        session.password = session.ssl_object = None
        # a client id belongs to its user, so nobody can take another's connection with it; no user id has a slash
        session.client_id = f"{user}/{connect.client_id or id(device)}"
        await self._take_over(session.client_id)
        session.transitions.connect()
        self._sessions[session.client_id] = (session, device)
        pace = self._admission.pace_of(user, time.monotonic())
        device.admit(session, user, connect.keep_alive_s, self._gate.request_topic(user), pace)
        self._admission.logged_in(visit)
        await self.plugins_manager.fire_event(
            BrokerEvents.CLIENT_CONNECTED, client_id=session.client_id, client_session=session
        )
        return session

    async def _is_who_it_says(self, visit: Visit, session: Session) -> bool:
        """Have the plugins look at the login; not at every one of somebody who guesses."""
        listener = self.listeners_config["default"]
        if self._gate.knows(login_of(session)):
            return await self._authenticate(session, listener)
        user = session.username or ""
        async with self._admission.turn(visit.address):
            if not self._admission.may_try(visit.address, user, time.monotonic()):
                text = f"too many wrong logins from there, or for user {user[:LOGGED_CHARS]!r}; try again later"
                raise ConnectRefused(text, mqtt311.connack(mqtt311.UNAVAILABLE))
            is_right = await self._authenticate(session, listener)
            if is_right:
                self._admission.succeeded(visit.address, user)
            else:
                self._admission.failed(visit.address, user, time.monotonic())
            return is_right

    async def _take_over(self, client_id: str) -> None:
        """A second connection of the same user with the same client id ends the first (section 3.1.4)."""
        session, device = self._sessions.get(client_id, (None, None))
        if session is not None and isinstance(device, Device):
            device.hang_up()
            await self._forget(device, session)

    async def _forget(self, device: Device, session: Session) -> None:
        client_id = session.client_id or ""
        if self._sessions.get(client_id, (None, None))[1] is not device:
            return
        for topic in tuple(device.subscriptions):
            self.unsubscribe(device, topic)
        del self._sessions[client_id]
        session.transitions.disconnect()
        await self.plugins_manager.fire_event(
            BrokerEvents.CLIENT_DISCONNECTED, client_id=client_id, client_session=session
        )

    async def _session_monitor(self) -> None:
        """Nothing: sessions are clean and end with their connection."""

    # What devices ask for.

    async def subscribe(self, device: Device, topic_filter: str, qos: int) -> int:
        """Subscribe, where the plugins permit it; again with another QoS replaces the first (section 3.8.4)."""
        session = device.session
        try:
            may = session is not None and await self._may_subscribe(session, topic_filter)
        except StoreUnavailable as failed:
            # a refusal would say that the user is no member; without a connection it asks again
            log.error("connection of %s closed: cannot tell whose group it is: %s", device.user, failed)  # noqa: TRY400 - the store has said what it is
            device.hang_up()
            return mqtt311.SUBSCRIBE_FAILED
        if session is None or not may:
            device.complain("may not subscribe to", topic_filter)
            return mqtt311.SUBSCRIBE_FAILED
        if self._sessions.get(session.client_id or "", (None, None))[1] is not device:
            return mqtt311.SUBSCRIBE_FAILED  # taken over meanwhile
        granted = min(qos, 1)
        if topic_filter not in device.subscriptions and len(device.subscriptions) >= self._bounds.subscriptions:
            device.complain("has too many subscriptions to add", topic_filter)
            return mqtt311.SUBSCRIBE_FAILED
        device.subscriptions.add(topic_filter)
        self._audience.setdefault(topic_filter, {})[device] = granted
        await self.plugins_manager.fire_event(
            BrokerEvents.CLIENT_SUBSCRIBED, client_id=session.client_id, topic=topic_filter, qos=granted
        )
        return granted

    async def _may_subscribe(self, session: Session, topic_filter: str) -> bool:
        """Ask the plugins; again, where a topic was taken away from somebody while they thought about it."""
        while True:
            before = self._taken_away
            allowed = bool(await self._topic_filtering(session, topic_filter, Action.SUBSCRIBE))
            if before == self._taken_away:
                return allowed

    def take_away(self, topic: str, users: Collection[str] | None) -> None:
        """Unsubscribe the devices of these users, or all: nothing sent from now on reaches them on this topic."""
        self._taken_away += 1
        for device in tuple(self._audience.get(topic, ())):
            if users is None or device.user in users:
                self.unsubscribe(device, topic)

    def unsubscribe(self, device: Device, topic_filter: str) -> None:
        """Unsubscribe, and leave no empty entry behind."""
        audience = self._audience.get(topic_filter, {})
        if audience.pop(device, None) is None:
            return
        device.subscriptions.discard(topic_filter)
        if not audience:
            del self._audience[topic_filter]

    def published(self, device: Device, message: Publish, settle: Callable[[], None]) -> None:
        """Take a request. Anything else is acknowledged and dropped, as section 3.3.5 allows, and said in the log."""
        if message.topic == device.request_topic:
            self._gate.take(device.user, message.payload, settle)
            return
        device.complain("may not publish on", message.topic)
        settle()


async def _done(tasks: list[asyncio.Task[Any]], within_s: float) -> None:
    """Wait for them, but no longer."""
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)

