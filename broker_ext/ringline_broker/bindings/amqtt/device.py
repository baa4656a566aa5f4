"""One connected device: its packets in, its messages out, and the bounds on both."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import OutgoingApplicationMessage, Session

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.link import Link
from ringline_broker.bindings.amqtt.mqtt311 import Packet, PacketReader, PacketType, Publish
from ringline_broker.bindings.framing import MAX_PACKET_ID, Malformed
from ringline_broker.bindings.receipts import Receipts
from ringline_broker.service.buckets import Bucket
from ringline_broker.service.sparing import SparingLog
from ringline_broker.settings import Bounds

if TYPE_CHECKING:
    from amqtt.broker import BrokerContext
    from amqtt.plugins.manager import PluginManager

LOGGED_CHARS: Final = 100
"""What a log line quotes of what somebody sent."""
_COMPLAINTS: Final = 10


class Owner(Protocol):
    """What a device asks of its broker. `log`: for what strangers and users bring about."""

    log: SparingLog

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
        pace: the packets it may send before it is admitted, at once and a second.
        began: when its connection was accepted, seconds.
    """

    def __init__(
        self,
        owner: Owner,
        plugins_manager: "PluginManager[BrokerContext]",
        link: Link,
        bounds: Bounds,
        pace: Bucket,
        began: float,
    ) -> None:
        super().__init__(plugins_manager)
        self._owner = owner
        self.link = link
        self._bounds = bounds
        self._packets = PacketReader(bounds.packet_bytes)
        self._receipts = Receipts(self._write, self._look_for_room)
        self._has_room = True
        self._is_busy = False
        self._is_reading = True
        self._pace = pace
        self._is_paced = False
        self._for_task: asyncio.Queue[Packet | Exception | None] = asyncio.Queue()
        self._unacknowledged: set[int] = set()
        self._last_id = 0
        self._closed_at: float | None = None
        self._is_cut_off = False
        self._began = self.heard_at = self._packet_began = began
        self._silence_s: float | None = None
        self._complaints = 0
        self.user = ""
        self.request_topic = ""
        self.subscriptions: set[str] = set()

    @property
    def is_closed(self) -> bool:
        """Whether its connection was ended from this side."""
        return self._closed_at is not None

    @property
    def is_cut_off(self) -> bool:
        """Whether its connection was ended at once, whatever was still to be sent."""
        return self._is_cut_off

    @property
    def has_spoken(self) -> bool:
        """Whether its CONNECT came."""
        return self._is_busy or bool(self.user)

    @property
    def is_late(self) -> bool:
        """Whether its time is over: for taking what was still to be sent, for its CONNECT, for the packet it is inside
        of, or for its keepalive, which is one and a half times what it asked for (section 3.1.2.10).
        """
        now = time.monotonic()
        if self._is_cut_off:
            return False
        if self._closed_at is not None:
            return now - self._closed_at > self._bounds.close_s
        if not self.user:
            return now - self._began > self._bounds.connect_s
        if not self._has_room:  # then it is us who do not listen
            return now - self.heard_at > self._bounds.packet_s
        if self._is_paced:
            return False
        if self._packets.is_inside and now - self._packet_began > self._bounds.packet_s:
            return True
        return self._silence_s is not None and now - self.heard_at > self._silence_s

    async def read_connect(self) -> mqtt311.Connect | None:
        """The first packet; None where the connection ended before it.

        Raises:
            Malformed: it is no CONNECT.
            ConnectRefused: it is one this broker cannot take.
        """
        self.link.start(self)
        packet = await self._next_for_task()
        return None if packet is None else mqtt311.read_connect(packet)

    def admit(self, session: Session, user: str, keep_alive_s: int, request_topic: str, pace: Bucket) -> None:
        """The device is who it says: from here on its packets count, as those of all devices of its user do."""
        self.session = session
        self._pace = pace
        self.user = user
        self.request_topic = request_topic
        self._silence_s = keep_alive_s * 1.5 if keep_alive_s else None
        self.heard_at = self._packet_began = time.monotonic()
        self._write(mqtt311.connack(mqtt311.ACCEPTED))

    async def serve(self) -> None:
        """Do what its packets ask for that takes a while, until the connection ends; the rest is done as it comes.

        Raises:
            Malformed: it broke the protocol.
        """
        self._go_on()
        while (packet := await self._next_for_task()) is not None and packet.kind != PacketType.DISCONNECT:
            packet_id, filters = mqtt311.read_subscribe(packet)
            self._pace.spend(len(filters))
            codes = [await self._owner.subscribe(self, topic_filter, qos) for topic_filter, qos in filters]
            self._write(mqtt311.suback(packet_id, codes))
            self._go_on()

    # What the link brings.

    def received(self, data: bytes) -> None:
        """Work through bytes at once, as far as no packet among them takes a while."""
        self.heard_at = time.monotonic()
        if self._is_busy or self._is_paced:
            self._packets.keep(data)
        else:
            self._work_through(data)

    def go_on_in_time(self) -> None:
        """Read again from who had sent too much, where their time has come."""
        if self._is_paced and self._pace.has_any(time.monotonic()):
            self._is_paced = False
            if not self._is_busy:
                self._work_through(b"")
            self._set_reading()

    def ended(self) -> None:
        """Have the task end."""
        self._for_task.put_nowait(None)

    def _work_through(self, data: bytes) -> None:
        if not self._packets.is_inside:
            self._packet_began = self.heard_at
        try:
            if data and not self.user and not self._packets.is_inside and data[0] != PacketType.CONNECT << 4:
                raise Malformed("the first packet is no CONNECT (section 3.1.0)")
            is_work = True  # bytes that complete no packet are work, too
            for packet in self._packets.feed(data):
                self._packet_began = self.heard_at
                is_work = False
                if self.is_closed:
                    return
                if not (self.user and self._work(packet)):
                    self._hand_over(packet)
                    return
                if not self._pace.has_any(self.heard_at):
                    self._slow_down()
                    return
            if is_work:
                self._pace.spend(1)
        except Exception as failed:  # noqa: BLE001 - the task raises it
            self._hand_over(failed)
        self._reads_answers()

    def _slow_down(self) -> None:
        """Read no more for now; what was read already waits."""
        self._is_paced = True
        self._set_reading()

    def _hand_over(self, what: Packet | Exception) -> None:
        """Leave a packet to the task, and touch none after it before that is done."""
        self._is_busy = True
        self._for_task.put_nowait(what)
        self._set_reading()

    async def _next_for_task(self) -> Packet | None:
        what = await self._for_task.get()
        if isinstance(what, Exception):
            raise what
        return what

    def _go_on(self) -> None:
        self._is_busy = False
        if self._pace.has_any(self.heard_at):
            self._work_through(b"")
            self._set_reading()
        else:
            self._slow_down()

    def _set_reading(self) -> None:
        wanted = self._has_room and not self._is_busy and not self._is_paced
        if wanted != self._is_reading and not self.is_closed:
            self._is_reading = wanted
            if wanted:
                self.link.resume()
            else:
                self.link.pause()

    def _work(self, packet: Packet) -> bool:
        """Whether it could be done at once. What the device was not asked for is paid for from its pace."""
        mqtt311.check_flags(packet)
        if packet.kind == PacketType.PUBACK and (number := mqtt311.read_puback(packet)) in self._unacknowledged:
            self._unacknowledged.discard(number)
            return True
        self._pace.spend(1)
        match packet.kind:
            case PacketType.PUBLISH:
                self._take(mqtt311.read_publish(packet))
            case PacketType.PUBACK:
                pass
            case PacketType.PINGREQ:
                self._write(mqtt311.PINGRESP)
            case PacketType.UNSUBSCRIBE:
                packet_id, names = mqtt311.read_unsubscribe(packet)
                for name in names:
                    self._owner.unsubscribe(self, name)
                self._write(mqtt311.unsuback(packet_id))
            case PacketType.SUBSCRIBE | PacketType.DISCONNECT:
                return False
            case _:
                raise Malformed(f"a second CONNECT, or packet type {packet.kind}")
        return True

    def _take(self, message: Publish) -> None:
        settle = self._receipts.take(message.packet_id)
        if len(self._receipts) >= self._bounds.unsettled:
            self._has_room = False
            self._set_reading()
        self._owner.published(self, message, settle)

    def _look_for_room(self) -> None:
        if not self._has_room and len(self._receipts) < self._bounds.unsettled:
            self._has_room = True
            self._set_reading()

    def _write(self, data: bytes) -> None:
        if not self.is_closed:
            self.link.write(data)

    def _reads_answers(self) -> None:
        if not self.is_closed and self.link.waiting > self._bounds.waiting_bytes:
            self._fall_behind()

    def _fall_behind(self) -> None:
        self._owner.log.warning(
            "device of user %s at %s does not keep up: disconnected", self.user, self.link.peer, extra=self._about
        )
        self.cut_off()

    def send(self, topic: bytes, payload: bytes, qos: int) -> bool:
        """Send a message; False where the device had to be cut off, or was gone. It is never skipped: a device that
        does not keep up loses its connection, and syncs when it is back.
        """
        if self.is_closed:
            return False
        bounds = self._bounds
        if len(self._unacknowledged) >= bounds.unacknowledged or self.link.waiting > bounds.waiting_bytes:
            self._fall_behind()
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

    def complain(self, what: str, topic: str) -> None:
        """Log that the device asked for what it may not have; not without end."""
        self._complaints += 1
        if self._complaints <= _COMPLAINTS:
            more = "; no more is said of this connection" if self._complaints == _COMPLAINTS else ""
            topic = topic[:LOGGED_CHARS]
            self._owner.log.warning(
                "user %s at %s %s %r%s", self.user, self.link.peer, what, topic, more, extra=self._about
            )

    @property
    def _about(self) -> dict[str, object]:
        return {"user": self.user}

    def cut_off(self) -> None:
        """End the connection at once."""
        self._end()
        self._is_cut_off = True
        self.link.abort()

    def hang_up(self) -> None:
        """End the connection after what was written."""
        if not self.is_closed:
            self._end()
            self.link.close()

    def _end(self) -> None:
        self._closed_at = self._closed_at or time.monotonic()

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
        granted = min(qos or 0, 1)
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
