"""One connection to a broker: a driver on asyncio over the codec. Memory is bounded in every direction.

- out: `Outbound` holds what may not be sent yet, because of the broker's receive maximum or a full socket
- in: our receive maximum, announced; over it, we stop reading. A packet's size; a message over it is read past
"""

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, cast

import mqtt5

from ringline_broker.bindings.framing import MAX_LENGTH, MAX_PACKET_ID, Malformed
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.failures import (
    BrokerFailure,
    BrokerUnreachable,
    describe,
    login_refused,
    subscribe_refused,
    tls_failed,
)
from ringline_broker.bindings.mqtt5.outbound import LAST_PACKET_ID, Outbound, warn_seldom
from ringline_broker.bindings.mqtt5.packets import Oversize, Packet, PacketReader, PubAck, Publish, publish
from ringline_broker.bindings.mqtt5.pulse import Pulse
from ringline_broker.bindings.receipts import Receipts
from ringline_broker.service.ports import Clock

log = logging.getLogger(__name__)

Take = Callable[[str, bytes, Callable[[], None]], None]
"""Takes a message that came: its topic, its payload, and what settles it."""

_REFUSALS: Final = 0x80
"""Reason codes from here on are refusals. The codec's are no IntEnums, whatever its types say; hence each `int`."""
_PING: Final = mqtt5.PingReqPacket().write()
_SEND_AT_ONCE: Final = 65_536
"""Bytes gathered in one turn of the loop before they are sent without waiting for its end."""


async def connect(
    address: BrokerAddress, bounds: LinkBounds, outbound: Outbound, take: Take, clock: Clock
) -> "Connection":
    """Connect and log in, with a clean session that ends with the connection and a client id nobody can know.

    Raises:
        BrokerUnreachable: nobody answers there, or not as a broker of MQTT 5 does.
        TlsFailed: one end does not trust the other.
        LoginRefused: the broker refuses the login.
    """
    made: list[Connection] = []

    def make() -> Connection:
        made.append(Connection(address, bounds, outbound, take, clock))
        return made[0]

    name = None if address.tls is None else address.host
    try:
        async with asyncio.timeout(bounds.answer_s):
            await asyncio.get_running_loop().create_connection(
                make, address.host, address.port, ssl=address.tls, server_hostname=name
            )
            await made[0].logged_in
    except TimeoutError:
        _abort(made)
        raise BrokerUnreachable(f"the broker at {address} did not answer within {bounds.answer_s:g} s") from None
    except ssl.SSLError as failed:
        raise tls_failed(str(address), failed) from failed
    except OSError as failed:
        raise BrokerUnreachable(f"no broker at {address}: {failed.strerror or failed}") from failed
    except BaseException:
        _abort(made)
        raise
    return made[0]


def _abort(made: "list[Connection]") -> None:
    for connection in made:
        connection.abort("given up")


class Connection(asyncio.Protocol):
    """Made by `connect`.

    Attributes:
        logged_in: resolved once the broker has accepted the login; fails with why not.
        offer: what the broker said of itself in its CONNACK.
        ended: set once the connection is over; `reason` then says why.
        on_end: called then.
    """

    def __init__(
        self, address: BrokerAddress, bounds: LinkBounds, outbound: Outbound, take: Take, clock: Clock
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._bounds = bounds
        self._outbound = outbound
        self._take = take
        self._reader = PacketReader(bounds.max_packet_bytes)
        self._receipts = Receipts(self._write, self._settled, lambda: not outbound.is_behind)
        self._read_ms = 0
        self._held: Publish | None = None
        self._will_read = False
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._will_flush = False
        self._is_writable = True
        self._pulse = Pulse(
            clock, bounds.unacknowledged_s, lambda: outbound.oldest, lambda: self._write(_PING),
            lambda: not self._is_full(), self.abort,
        )  # fmt: skip
        self._asked: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._last_asked = LAST_PACKET_ID
        self._max_sent_bytes = 0
        self.logged_in: asyncio.Future[None] = self._loop.create_future()
        self.offer = mqtt5.ConnAckPacket()
        self.ended = asyncio.Event()
        self.reason = ""
        self.on_end: Callable[[], object] = int

    # What the owner asks for.

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1, for what is published from now on.

        Raises:
            SubscribeRefused: the broker refuses one of them.
            BrokerUnreachable: the connection ended, or the broker does not answer; it is closed then.
        """
        wanted = [
            mqtt5.TopicFilter(
                one, max_qos=mqtt5.QoS.AT_LEAST_ONCE, retain_as_published=False,
                retain_handling=mqtt5.RetainHandling.SEND_NEVER,
            )
            for one in filters
        ]  # fmt: skip
        codes = await self._ask("SUBSCRIBE", lambda packet_id: mqtt5.SubscribePacket(packet_id, wanted).write())
        for one, code in zip(filters, codes, strict=False):
            if code >= _REFUSALS:
                raise subscribe_refused(one, code)
        if len(codes) != len(filters):
            raise self._violated("a SUBACK for another SUBSCRIBE")

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe; what the broker says of each is only logged.

        Raises:
            BrokerUnreachable: the connection ended, or the broker does not answer; it is closed then.
        """
        wanted = list(filters)
        codes = await self._ask("UNSUBSCRIBE", lambda packet_id: mqtt5.UnsubscribePacket(packet_id, wanted).write())
        for one, code in zip(filters, codes, strict=False):
            if code >= _REFUSALS:
                log.warning("the broker does not end the subscription of %r; %s", one, describe(code))

    @property
    def unsettled(self) -> int:
        """Messages that came and are not settled; at most the receive maximum."""
        return self._receipts.unsettled

    def close(self) -> None:
        """Say goodbye and end; a second call does nothing."""
        self._leave(mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION, "closed")

    def abort(self, reason: str) -> None:
        """End at once, with nothing said."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    # asyncio's.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Log in."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.write(
            mqtt5.ConnectPacket(
                f"ringline{secrets.token_hex(7)}",  # 22 characters: every broker takes 23
                username=self._address.username,
                password=self._address.password,
                clean_start=True,
                keep_alive=self._bounds.keep_alive_s,
                session_expiry_interval=0,
                receive_max=self._bounds.receive_max,
                max_packet_size=MAX_LENGTH,  # never less than the broker lets in, and never nothing: decision 0011
            ).write()
        )

    def data_received(self, data: bytes) -> None:
        """Handle the packets that these bytes complete."""
        self._pulse.heard()
        self._reader.feed(data)
        self._read()

    def pause_writing(self) -> None:
        """The socket is full: what is not sent waits in `Outbound`."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._is_writable = True
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, whoever ended it."""
        self._end("the broker closed the connection" if exc is None else f"the connection broke: {exc}")

    # What comes.

    def _read(self) -> None:
        """Handle what is there, up to a message that is one too many."""
        if self._is_full():
            return
        self._read_ms = self._outbound.now_ms()
        try:
            for packet in self._reader.packets():
                self._handle(packet)
                if self._is_full() or self.ended.is_set():
                    return
        except Malformed as broken:
            self._violated(str(broken), mqtt5.DisconnectReasonCode.MALFORMED_PACKET)

    def _is_full(self) -> bool:
        return self._held is not None

    def _settled(self) -> None:
        """There is room: go on with what was held back, outside of whatever it was that settled something."""
        if self._is_full() and not self._will_read:
            self._will_read = True
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._will_read = False
        held, self._held = self._held, None
        if held is None or self.ended.is_set() or self._transport is None:
            return
        self._receive(held)
        self._read()
        if not self._is_full() and not self._transport.is_closing():
            self._transport.resume_reading()

    def _handle(self, packet: Packet) -> None:
        if not self.logged_in.done():
            self._log_in(packet)
        elif isinstance(packet, Publish):
            self._receive(packet)
        elif isinstance(packet, PubAck):
            self._outbound.acknowledged(packet, self._read_ms)
            self._receipts.flush()
        elif isinstance(packet, Oversize):
            self._pass_over(packet)
        elif isinstance(packet, mqtt5.SubAckPacket | mqtt5.UnsubAckPacket):
            asked = self._asked.get(packet.packet_id)
            if asked is not None and not asked.done():
                asked.set_result([int(code) for code in packet.reason_codes])
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self._disconnected(packet)
        elif isinstance(packet, mqtt5.PingRespPacket):
            self._pulse.answered()
        else:
            self._violated(f"a {type(packet).__name__}, which no broker sends a worker")

    def _log_in(self, packet: Packet) -> None:
        if not isinstance(packet, mqtt5.ConnAckPacket):
            self._violated("something before its CONNACK")
            return
        code = int(packet.reason_code)
        if code:
            refused = login_refused(str(self._address), code, packet.reason_str)
            self.logged_in.set_exception(refused)
            self.abort(str(refused))
            return
        self.offer = packet
        self._max_sent_bytes = packet.max_packet_size or 0
        self.logged_in.set_result(None)
        ours = self._bounds.keep_alive_s
        self._pulse.start(min(ours, packet.server_keep_alive or ours))
        self._outbound.attach(self._pump, min(packet.receive_max, self._bounds.window))

    def _receive(self, message: Publish) -> None:
        """Hand a message over, or hold it, and whatever comes after it, back where too much is unsettled.

        A broker that keeps to our receive maximum never meets this; Mosquitto 2.0.11 answers each PUBACK with as many
        messages as that allows in all, and nothing of MQTT holds back what is sent at QoS 0.
        """
        if self._receipts.unsettled < self._bounds.receive_max:
            self._take(message.topic, message.payload, self._receipts.take(message.packet_id))
            return
        self._held = message
        self._outbound.counters.held += 1
        if self._transport is not None:
            self._transport.pause_reading()

    def _pass_over(self, message: Oversize) -> None:
        """Acknowledge what nobody reads: it would count against our receive maximum for good."""
        count = self._outbound.counters.oversize = self._outbound.counters.oversize + 1
        warn_seldom(count, f"read past, the last of {message.size} bytes on {message.topic!r}")
        if message.packet_id is not None:
            self._receipts.take(message.packet_id)()

    def _disconnected(self, packet: mqtt5.DisconnectPacket) -> None:
        code = int(packet.reason_code)
        text = f"the broker ended the connection; {describe(code, packet.reason_str)}"
        if packet.server_reference:
            text += f" ({packet.server_reference!r})"
        self.abort(text)

    def _violated(
        self, what: str, code: mqtt5.DisconnectReasonCode = mqtt5.DisconnectReasonCode.PROTOCOL_ERROR
    ) -> BrokerFailure:
        reason = f"the broker at {self._address} sent what breaks the protocol: {what}"
        self._leave(code, reason)
        return BrokerUnreachable(reason)

    # What goes.

    def _pump(self, now_ms: int = 0) -> None:
        while self._is_writable and (ready := self._outbound.next(now_ms)) is not None:
            packet_id, message, left_s = ready
            packet = publish(message.topic, message.payload, packet_id, left_s)
            if self._max_sent_bytes and len(packet) > self._max_sent_bytes:
                self._outbound.too_large(packet_id)
            else:
                self._write(packet)

    def _write(self, data: bytes) -> None:
        """Send with everything else of this turn of the loop."""
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes >= _SEND_AT_ONCE:
            self._flush()
        elif not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._will_flush = False
        self._flush()

    def _flush(self) -> None:
        data, self._unsent, self._unsent_bytes = b"".join(self._unsent), [], 0
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def _ask(self, what: str, make: Callable[[int], bytes]) -> Sequence[int]:
        """Send what is answered, and wait for the reason codes."""
        if self.ended.is_set():
            raise BrokerUnreachable(self.reason)
        packet_id = self._last_asked = self._last_asked + 1 if self._last_asked < MAX_PACKET_ID else LAST_PACKET_ID + 1
        asked: asyncio.Future[Sequence[int]] = self._loop.create_future()
        self._asked[packet_id] = asked
        try:
            self._write(make(packet_id))
            async with asyncio.timeout(self._bounds.answer_s):
                return await asked
        except TimeoutError:
            self.abort(f"the broker did not answer {what} within {self._bounds.answer_s:g} s")
            raise BrokerUnreachable(self.reason) from None
        finally:
            del self._asked[packet_id]

    # The end.

    def _leave(self, code: mqtt5.DisconnectReasonCode, reason: str) -> None:
        transport = self._transport
        if not self.ended.is_set() and transport is not None:
            self._flush()
            transport.write(mqtt5.DisconnectPacket(reason_code=code).write())
            if not self._is_writable:  # what the broker does not take would keep the connection open
                transport.abort()
            transport.close()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self.ended.is_set():
            return
        self.reason = reason
        self.ended.set()
        failed = BrokerUnreachable(reason)
        if not self.logged_in.done():
            self.logged_in.set_exception(failed)
            self.logged_in.exception()  # noqa: LOG004 - a future's; whoever connects may have gone
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(failed)
        self._pulse.stop()
        self._receipts.forget()
        self._outbound.detach()
        self.on_end()
