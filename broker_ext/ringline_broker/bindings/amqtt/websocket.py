"""MQTT over WebSocket (section 6). The library reads and writes frames; bytes, pauses and ends are ours."""

import logging
import ssl
from http import HTTPStatus
from typing import Final

from websockets import Subprotocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ringline_broker.bindings.amqtt.link import Receiver, StreamLink

_MQTT: Final = Subprotocol("mqtt")
_AT_ONCE: Final = 1_024
"""Bytes given to the library at a time: a receiver that has had enough is not handed what came after."""
_MAX_EMPTY_FRAMES: Final = 64
_DATA: Final = (Opcode.BINARY, Opcode.CONT)

# The library writes a traceback for every stranger that speaks no HTTP; our own log says what matters.
_quiet = logging.getLogger(f"{__name__}.websockets")
_quiet.setLevel(logging.CRITICAL)


class WebSocketLink:
    """WebSocket with the subprotocol `mqtt`; packets may be cut across messages and frames in any way.

    Args:
        stream: the bytes below.
        max_bytes: bytes a message may have.
    """

    def __init__(self, stream: StreamLink, max_bytes: int) -> None:
        self._stream = stream
        # no extensions: a compressed bomb needs one, short messages gain nothing from it
        self._protocol = ServerProtocol(subprotocols=[_MQTT], max_size=max_bytes, logger=_quiet)
        self._receiver: Receiver | None = None
        self._unread = b""
        self._is_paused = False
        self._is_working = False
        self._empty_ones = 0
        self.peer = stream.peer

    @property
    def waiting(self) -> int:
        """Bytes in the transport's buffer."""
        return self._stream.waiting

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session."""
        return self._stream.tls

    def start(self, receiver: Receiver) -> None:
        """Bring what comes."""
        self._receiver = receiver
        self._stream.start(self)

    def pause(self) -> None:
        """Leave what comes to the system's buffers."""
        self._is_paused = True
        self._stream.pause()

    def resume(self) -> None:
        """Go on, with what was left first."""
        self._is_paused = False
        self._stream.resume()
        self._work()

    def write(self, data: bytes) -> None:
        """Send as one message; before the handshake there is nobody to send to."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._flush()

    def close(self) -> None:
        """End after what was written."""
        if self._protocol.state is State.OPEN and self._protocol.close_rcvd is None:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._stream.close()

    def abort(self) -> None:
        """End at once."""
        self._stream.abort()

    async def closed(self) -> None:
        """Wait for the stream."""
        await self._stream.closed()

    # What the stream brings.

    def received(self, data: bytes) -> None:
        """Take bytes of the stream."""
        self._unread += data
        self._work()

    def ended(self) -> None:
        """The stream is over."""
        if self._receiver is not None:
            self._receiver.ended()
        self._receiver = None

    def _work(self) -> None:
        if self._is_working:  # the receiver resumes while it is handed something
            return
        self._is_working = True
        try:
            while self._unread and not self._is_paused and self._receiver is not None:
                some, self._unread = self._unread[:_AT_ONCE], self._unread[_AT_ONCE:]
                self._read(some, self._receiver)
        finally:
            self._is_working = False

    def _read(self, some: bytes, receiver: Receiver) -> None:
        protocol = self._protocol
        protocol.receive_data(some)
        events = protocol.events_received()
        if not events:
            receiver.received(b"")
        for event in events:
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame):
                self._take(event, receiver)
        self._flush()

    def _answer(self, request: Request) -> None:
        try:
            response = self._protocol.accept(request)  # a refusal, for whoever does not offer `mqtt`
        except UnicodeError:  # the library quotes the header that it refuses, and cannot if that is no text
            response = self._protocol.reject(HTTPStatus.BAD_REQUEST, "A header is not UTF-8.\n")
        if not self._protocol.eof_sent:  # what followed the request was no frame: it is over before its answer
            self._protocol.send_response(response)

    def _take(self, frame: Frame, receiver: Receiver) -> None:
        """Only binary messages are MQTT; anything else is work without any bytes."""
        data = bytes(frame.data) if frame.opcode in _DATA else b""
        self._empty_ones = 0 if data else self._empty_ones + 1
        if frame.opcode is Opcode.TEXT or self._empty_ones > _MAX_EMPTY_FRAMES:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "MQTT comes in binary messages")
            return
        receiver.received(data)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._stream.write(data)
            else:  # how the library says that nothing more is to be sent, nor read
                self._unread = b""
                self._stream.close()
