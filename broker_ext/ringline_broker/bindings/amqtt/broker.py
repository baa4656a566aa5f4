"""aMQTT's broker, hardened. The only module that uses private names of aMQTT, whose version is pinned for that.

What it cures is in docs/decisions/0002; every cure has an attack under tests/attacks.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import websockets
import websockets.asyncio.server
from amqtt.broker import Broker
from amqtt.contexts import Action, ListenerType
from amqtt.events import BrokerEvents
from amqtt.session import Session

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.device import Bounds, Device
from ringline_broker.bindings.amqtt.link import Link, StreamLink, WebSocketLink
from ringline_broker.bindings.amqtt.mqtt311 import ConnectRefused, Malformed, Publish
from ringline_broker.bindings.amqtt.plugin import Gate

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 0.5


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
        self._devices: set[Device] = set()
        self._serving: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            BrokerError: a listener cannot be opened.
        """
        await super().start()
        self._sweeper = asyncio.create_task(self._sweep(), name="ringline-sweeper")

    async def shutdown(self) -> None:
        """Close every connection and listener."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers.values():
            server.instance.close()
        for device in tuple(self._devices):
            device.hang_up()
        if self._serving:
            _, stuck = await asyncio.wait(self._serving, timeout=1.0)
            for device in tuple(self._devices) if stuck else ():
                device.cut_off()
        await super().shutdown()

    def ports(self) -> dict[str, int]:
        """The port each listener has, by its name."""
        found = {}
        for name, server in self._servers.items():
            sockets = getattr(server.instance, "sockets", None)
            if sockets:
                found[name] = int(next(iter(sockets)).getsockname()[1])
        return found

    def deliver(self, topic: str, payload: bytes) -> int:
        """Send a message to whoever subscribes to just this topic; how many devices that was."""
        raw = topic.encode()
        reached = 0
        # a copy: sending may cut a device off, which takes it out of the list
        for session, qos in tuple(self._subscriptions.get(topic, ())):
            _, device = self._sessions[session.client_id or ""]
            if isinstance(device, Device):
                reached += device.send(raw, payload, qos)
        return reached

    # Connections.

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server | websockets.asyncio.server.Server:
        if listener_type is not ListenerType.WS:
            return await super()._create_server_instance(listener_name, listener_type, address, port, ssl_context)
        return await websockets.serve(
            partial(self.ws_connected, listener_name=listener_name),
            address,
            port,
            ssl=ssl_context,
            subprotocols=[websockets.Subprotocol("mqtt")],
            max_size=2 * self._bounds.packet_bytes,
            compression=None,  # a bomb needs one, short messages gain nothing from it
            open_timeout=self._bounds.connect_s,
        )

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve a TCP or TLS connection."""
        await self._serve(StreamLink(reader, writer), listener_name)

    async def ws_connected(self, websocket: websockets.asyncio.server.ServerConnection, listener_name: str) -> None:
        """Serve a WebSocket connection."""
        link = WebSocketLink(websocket)
        await self._serve(link, listener_name)
        await link.closed()

    async def _serve(self, link: Link, listener_name: str) -> None:
        device = Device(self, self.plugins_manager, link, self._bounds)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._devices.add(device)
        self._serving.add(task)
        try:
            await self._converse(device, listener_name)
        except Malformed as broken:
            log.warning("connection from %s closed: %s", link.peer, broken)
        except Exception:
            log.exception("connection from %s failed", link.peer)
        finally:
            self._devices.discard(device)
            self._serving.discard(task)
            device.hang_up()

    async def _converse(self, device: Device, listener_name: str) -> None:
        try:
            connect = await device.read_connect()
            session = None if connect is None else await self._admit(device, connect, listener_name)
        except ConnectRefused as refused:
            log.warning("connection from %s refused: %s", device.link.peer, refused)
            device.link.write(refused.connack)
            return
        if session is None:
            return
        try:
            await device.serve()
        finally:
            await self._forget(device, session)

    async def _admit(self, device: Device, connect: mqtt311.Connect, listener_name: str) -> Session:
        """Authenticate first; only then anything of the broker's changes."""
        if connect.has_will:
            text = "it has a will, which Ringline does not offer"
            raise ConnectRefused(text, mqtt311.connack(mqtt311.NOT_AUTHORIZED))
        session = Session()
        session.username = connect.username
        session.password = (connect.password or b"").decode("utf-8", "surrogateescape")
        session.keep_alive = connect.keep_alive_s
        session.clean_session = True
        session.remote_address = device.link.peer
        if connect.username is None or not await self._authenticate(session, self.listeners_config[listener_name]):
            text = f"wrong user name or password for user {connect.username!r}"
            raise ConnectRefused(text, mqtt311.connack(mqtt311.BAD_CREDENTIALS))
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
                if device.is_late:
                    log.info("device of user %s at %s fell silent: disconnected", device.user or "?", device.link.peer)
                    device.cut_off()

    async def _session_monitor(self) -> None:
        """Nothing: sessions are clean and end with their connection."""

    # What devices ask for.

    async def subscribe(self, device: Device, topic_filter: str, qos: int) -> int:
        """Subscribe, where the plugins permit it; again with another QoS replaces the first (section 3.8.4)."""
        session = device.session
        if session is None or not await self._topic_filtering(session, topic_filter, Action.SUBSCRIBE):
            log.warning("user %s may not subscribe to %r", device.user, topic_filter)
            return mqtt311.SUBSCRIBE_FAILED
        if self._sessions.get(session.client_id or "", (None, None))[1] is not device:
            return mqtt311.SUBSCRIBE_FAILED  # taken over meanwhile
        granted = min(qos, 1)
        self.unsubscribe(device, topic_filter)
        device.subscriptions[topic_filter] = granted
        self._subscriptions.setdefault(topic_filter, []).append((session, granted))
        await self.plugins_manager.fire_event(
            BrokerEvents.CLIENT_SUBSCRIBED, client_id=session.client_id, topic=topic_filter, qos=granted
        )
        return granted

    def unsubscribe(self, device: Device, topic_filter: str) -> None:
        """Unsubscribe, and leave no empty entry behind."""
        if device.subscriptions.pop(topic_filter, None) is None:
            return
        left = [entry for entry in self._subscriptions.get(topic_filter, ()) if entry[0] is not device.session]
        if left:
            self._subscriptions[topic_filter] = left
        else:
            self._subscriptions.pop(topic_filter, None)

    def published(self, device: Device, message: Publish, settle: Callable[[], None]) -> None:
        """Take a request. Anything else is acknowledged and dropped, as section 3.3.5 allows, and said in the log."""
        if message.topic == device.request_topic:
            self._gate.take(device.user, message.payload, settle)
            return
        log.warning("user %s may not publish on %r: dropped", device.user, message.topic)
        settle()

