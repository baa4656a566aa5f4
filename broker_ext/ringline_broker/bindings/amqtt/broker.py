"""aMQTT's broker, hardened. The only module that uses private names of aMQTT, whose version is pinned for that.

What it cures is in docs/decisions/0002; every cure has an attack under tests/attacks.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import websockets.asyncio.server
from amqtt.broker import Broker
from amqtt.contexts import Action, ListenerConfig, ListenerType
from amqtt.errors import BrokerError
from amqtt.events import BrokerEvents
from amqtt.session import Session

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.device import LOGGED_CHARS, Bounds, Device
from ringline_broker.bindings.amqtt.link import Link, StreamLink, WebSocketLink
from ringline_broker.bindings.amqtt.listening import listen, listen_websocket, tls_context
from ringline_broker.bindings.amqtt.mqtt311 import ConnectRefused, Malformed, Publish
from ringline_broker.bindings.amqtt.plugin import Gate
from ringline_broker.service.ports import StoreUnavailable

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 0.5
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
        gate: who may log in, who may have which topic, and where requests go; the plugin has the same.
        bounds: what one connection may take of the server.
    """

    def __init__(self, config: dict[str, Any], gate: Gate, bounds: Bounds) -> None:
        super().__init__(config)
        self._gate = gate
        self._bounds = bounds
        self._devices: dict[Device, asyncio.Task[Any]] = {}
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
        self._sweeper = asyncio.create_task(self._sweep(), name="ringline-sweeper")

    async def shutdown(self) -> None:
        """Close every connection and listener, within about two seconds whatever the other ends do."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        closing = [asyncio.create_task(server.close_instance()) for server in self._servers.values()]
        self._servers.clear()
        for device in tuple(self._devices):
            device.hang_up()
        await _done([*closing, *self._devices.values()], _GOODBYE_S)
        for device in tuple(self._devices):
            device.cut_off()
        await _done([*closing, *self._devices.values()], _CUT_OFF_S)
        for task in closing:
            task.cancel()
        await super().shutdown()

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        instances: dict[str, Any] = {name: server.instance for name, server in self._servers.items()}
        return {name: int(next(iter(instance.sockets)).getsockname()[1]) for name, instance in instances.items()}

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

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        return tls_context(Path(listener["certfile"]), Path(listener["keyfile"]))

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server | websockets.asyncio.server.Server:
        address = address.strip("[]") if address else None  # aMQTT leaves an IPv6 address its brackets
        if listener_type is ListenerType.WS:
            on_websocket = partial(self.ws_connected, listener_name=listener_name)
            return await listen_websocket(on_websocket, address, port, ssl_context, self._bounds)
        on_stream = partial(self._stream_connected, listener_name=listener_name)
        return await listen(on_stream, address, port, ssl_context, self._bounds)

    def _stream_connected(self, link: StreamLink, listener_name: str) -> None:
        """Serve a TCP or TLS connection, in a task of its own."""
        device = self._new_device(link)
        self._devices[device] = asyncio.create_task(self._serve(device, listener_name))

    async def ws_connected(self, websocket: websockets.asyncio.server.ServerConnection, listener_name: str) -> None:
        """Serve a WebSocket connection."""
        device = self._new_device(WebSocketLink(websocket))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._devices[device] = task
        await self._serve(device, listener_name)

    def _new_device(self, link: Link) -> Device:
        return Device(self, self.plugins_manager, link, self._bounds)

    async def _serve(self, device: Device, listener_name: str) -> None:
        link = device.link
        try:
            await self._converse(device, listener_name)
        except Malformed as broken:
            log.warning("connection from %s closed: %s", link.peer, str(broken))  # a log may keep what it is given
        except Exception:
            log.exception("connection from %s failed", link.peer)
        finally:
            device.hang_up()
            await link.closed()  # bounded by the sweeper, which cuts off who is not gone in time
            del self._devices[device]

    async def _converse(self, device: Device, listener_name: str) -> None:
        try:
            connect = await device.read_connect()
            session = None if connect is None else await self._admit(device, connect, listener_name)
        except ConnectRefused as refused:
            log.warning("connection from %s refused: %s", device.link.peer, str(refused))
            device.link.write(refused.connack)
            return
        if session is None:
            return
        try:
            await device.serve()
        finally:
            await self._forget(device, session)

    async def _admit(self, device: Device, connect: mqtt311.Connect, listener_name: str) -> Session | None:
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
        if connect.username is None or not await self._authenticate(session, self.listeners_config[listener_name]):
            text = f"wrong user name or password for user {(connect.username or '')[:LOGGED_CHARS]!r}"
            raise ConnectRefused(text, mqtt311.connack(mqtt311.BAD_CREDENTIALS))
        if device.is_closed:  # its time was over meanwhile; it must not take over from one that lives
            return None
        session.password = None
        # a client id belongs to its user, so nobody can take another's connection with it; no user id has a slash
        session.client_id = f"{connect.username}/{connect.client_id or id(device)}"
        await self._take_over(session.client_id)
        session.transitions.connect()
        self._sessions[session.client_id] = (session, device)
        device.admit(session, connect.username, connect.keep_alive_s, self._gate.request_topic(connect.username))
        await self.plugins_manager.fire_event(
            BrokerEvents.CLIENT_CONNECTED, client_id=session.client_id, client_session=session
        )
        return session

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

    async def _sweep(self) -> None:
        """Cut off whoever's time is over: one look at all, instead of a timer for each."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            for device in tuple(self._devices):
                try:
                    self._look_at(device)
                except Exception:
                    log.exception("connection from %s cannot be looked after", device.link.peer)

    @staticmethod
    def _look_at(device: Device) -> None:
        if device.is_late:
            log.info("connection of %s from %s is over its time: cut off", device.user or "?", device.link.peer)
            device.cut_off()

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

