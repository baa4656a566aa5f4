"""One connected device: its packets in, its messages out, and the bounds on both."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import OutgoingApplicationMessage, Session

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.link import Link
from ringline_broker.bindings.amqtt.mqtt311 import Malformed, Packet, PacketReader, PacketType, Publish

if TYPE_CHECKING:
    from amqtt.broker import BrokerContext
    from amqtt.plugins.manager import PluginManager

log = logging.getLogger(__name__)

MAX_PACKET_ID = 65_535


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take of the server.

    Attributes:
        packet_bytes: the largest packet a device may send.
        connect_s: seconds in which it must have sent its CONNECT.
        packet_s: seconds in which a packet that has begun must be complete.
        waiting_bytes: bytes waiting to be sent, above which a device that does not read is cut off.
        unacknowledged: messages it has not acknowledged, above which it is cut off.
    """

    packet_bytes: int = 32_768
    connect_s: float = 10.0
    packet_s: float = 30.0
    waiting_bytes: int = 1_048_576
    unacknowledged: int = 4_096


class Owner(Protocol):
    """What a device asks of its broker."""

    async def subscribe(self, device: "Device", topic_filter: str, qos: int) -> int:
        """Subscribe; the SUBACK's code."""
        ...

    def unsubscribe(self, device: "Device", topic_filter: str) -> None:
        """Unsubscribe."""
        ...

    def published(self, device: "Device", message: Publish, settle: Callable[[], None]) -> None:
        """Take a message; settle when it may be acknowledged."""
        ...


class Device(BrokerProtocolHandler):
    """What aMQTT calls a protocol handler. It reads and writes the connection itself, so nothing is left of the
    original's per-packet tasks, its 5 s PUBACK limit and its unchecked lengths.

    Args:
        owner: the broker.
        plugins_manager: aMQTT's.
        link: the connection.
        bounds: what it may take.
    """

    def __init__(
        self, owner: Owner, plugins_manager: "PluginManager[BrokerContext]", link: Link, bounds: Bounds
    ) -> None:
        super().__init__(plugins_manager)
        self._owner = owner
        self.link = link
        self._bounds = bounds
        self._packets = PacketReader(bounds.packet_bytes)
        self._unacknowledged: set[int] = set()
        self._last_id = 0
        self._is_closed = False
        self._began = time.monotonic()
        self._heard = self._began
        self._silence_s: float | None = None
        self.user = ""
        self.request_topic = ""
        self.subscriptions: dict[str, int] = {}

    @property
    def is_late(self) -> bool:
        """Whether its time is over: for its CONNECT, for the packet it is inside of, or for its keepalive, which is
        one and a half times what it asked for (section 3.1.2.10).
        """
        now = time.monotonic()
        if not self.user:
            return now - self._began > self._bounds.connect_s
        if self._packets.is_inside and now - self._heard > self._bounds.packet_s:
            return True
        return self._silence_s is not None and now - self._heard > self._silence_s

    async def read_connect(self) -> mqtt311.Connect | None:
        """The first packet; None where the connection ended before it.

        Raises:
            Malformed: it is no CONNECT.
            ConnectRefused: it is one this broker cannot take.
        """
        while data := await self.link.read():
            self._heard = time.monotonic()
            for packet in self._packets.feed(data):
                return mqtt311.read_connect(packet)
        return None

    def admit(self, session: Session, user: str, keep_alive_s: int, request_topic: str) -> None:
        """The device is who it says: from here on its packets count."""
        self.session = session
        self.user = user
        self.request_topic = request_topic
        self._silence_s = keep_alive_s * 1.5 if keep_alive_s else None
        self.link.write(mqtt311.connack(mqtt311.ACCEPTED))

    async def serve(self) -> None:
        """Work through its packets until the connection ends.

        Raises:
            Malformed: it broke the protocol.
        """
        going_on = await self._work_through(b"")
        while going_on and (data := await self.link.read()):
            self._heard = time.monotonic()
            going_on = await self._work_through(data)

    async def _work_through(self, data: bytes) -> bool:
        for packet in self._packets.feed(data):
            if self._is_closed or not await self._work(packet):
                return False
        return not self._is_closed

    async def _work(self, packet: Packet) -> bool:
        mqtt311.check_flags(packet)
        match packet.kind:
            case PacketType.PUBLISH:
                message = mqtt311.read_publish(packet)
                self._owner.published(self, message, lambda: self._acknowledge(message.packet_id))
            case PacketType.PUBACK:
                self._unacknowledged.discard(mqtt311.read_puback(packet))
            case PacketType.PINGREQ:
                self.link.write(mqtt311.PINGRESP)
            case PacketType.SUBSCRIBE:
                packet_id, filters = mqtt311.read_subscribe(packet)
                codes = [await self._owner.subscribe(self, topic_filter, qos) for topic_filter, qos in filters]
                self.link.write(mqtt311.suback(packet_id, codes))
            case PacketType.UNSUBSCRIBE:
                packet_id, names = mqtt311.read_unsubscribe(packet)
                for name in names:
                    self._owner.unsubscribe(self, name)
                self.link.write(mqtt311.unsuback(packet_id))
            case PacketType.DISCONNECT:
                return False
            case _:
                raise Malformed(f"a second CONNECT, or packet type {packet.kind}")
        return True

    def _acknowledge(self, packet_id: int | None) -> None:
        if packet_id is not None and not self._is_closed:
            self.link.write(mqtt311.puback(packet_id))

    def send(self, topic: bytes, payload: bytes, qos: int) -> bool:
        """Send a message; False where the device had to be cut off, or was gone. It is never skipped: a device that
        does not keep up loses its connection, and syncs when it is back.
        """
        if self._is_closed:
            return False
        bounds = self._bounds
        if len(self._unacknowledged) >= bounds.unacknowledged or self.link.waiting > bounds.waiting_bytes:
            log.warning("device of user %s at %s does not keep up: disconnected", self.user, self.link.peer)
            self.cut_off()
            return False
        self.link.write(mqtt311.publish(topic, payload, self._next_id() if qos else None))
        return True

    def _next_id(self) -> int:
        number = self._last_id
        while True:
            number = number % MAX_PACKET_ID + 1
            if number not in self._unacknowledged:
                break
        self._last_id = number
        self._unacknowledged.add(number)
        return number

    def cut_off(self) -> None:
        """End the connection at once."""
        self._is_closed = True
        self.link.abort()

    def hang_up(self) -> None:
        """End the connection after what was written."""
        if not self._is_closed:
            self._is_closed = True
            self.link.close()

    # What aMQTT itself calls.

    async def mqtt_publish(
        self,
        topic: str,
        data: bytes | bytearray,
        qos: int | None,
        retain: bool,  # noqa: ARG002, FBT001 - aMQTT's signature
        ack_timeout: int | None = None,  # noqa: ARG002 - likewise
    ) -> OutgoingApplicationMessage:
        """Send on behalf of another aMQTT plugin; `retain` and `ack_timeout` mean nothing here."""
        granted = min(qos or 0, self.subscriptions.get(topic, 0))
        self.send(topic.encode(), bytes(data), granted)
        return OutgoingApplicationMessage(None, topic, granted, data, retain=False)

    async def start(self) -> None:
        """Nothing: the connection's own task reads."""

    async def stop(self) -> None:
        """End the connection."""
        self.hang_up()

    async def handle_connection_closed(self) -> None:
        """End the connection."""
        self.hang_up()

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other
