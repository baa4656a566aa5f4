"""One of the fuzzer's connections: it sends bytes, and waits for an answer or the end."""

import asyncio
import contextlib
import struct
from typing import Final, cast

from ringline.protocol.topics import Topics
from tests.attacks.raw_mqtt import connect_packet, subscribe_packet
from tests.fuzz.frames import CLOSE, UPGRADE, frame
from tests.fuzz.payloads import DEVICES
from tests.support.bound import BOUND_S

_ACCEPTED: Final = b"\x20\x02\x00\x00"
_END_OF_HEAD: Final = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """A connection over TCP, or WebSocket.

    Args:
        is_websocket: which.
    """

    def __init__(self, *, is_websocket: bool) -> None:
        self._is_websocket = is_websocket
        self._has_head = not is_websocket
        self._raw = b""
        self._came = b""
        self._wanted = b""
        self._answered: asyncio.Future[bool] | None = None
        self._ended = asyncio.get_running_loop().create_future()
        self.is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's

    def data_received(self, data: bytes) -> None:
        self._came += self._unwrap(data) if self._is_websocket else data
        if self._wanted and self._wanted in self._came:
            self._came = b""
            self._settle(answered=True)
        else:
            self._came = self._came[-8:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.is_ended = True
        self._settle(answered=False)
        if not self._ended.done():
            self._ended.set_result(None)

    def _settle(self, *, answered: bool) -> None:
        self._wanted = b""
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(answered)

    def _unwrap(self, data: bytes) -> bytes:
        """What is in the frames that are complete. The server cuts none in pieces, and masks none."""
        self._raw += data
        if not self._has_head:
            _, found, rest = self._raw.partition(_END_OF_HEAD)
            if not found:
                return b""
            self._has_head, self._raw = True, rest
        out: list[bytes] = []
        while (cut := _frame_at(self._raw)) is not None:
            start, end = cut
            if self._raw[0] & 15 == CLOSE:
                self.end()
            out.append(self._raw[start:end])
            self._raw = self._raw[end:]
        return b"".join(out)

    def send(self, data: bytes) -> None:
        """Send."""
        if not self.is_ended:
            self._transport.write(data)

    def end(self) -> None:
        """Say that nothing more comes; the server reads all there is first, and ends the connection then."""
        if not self._transport.is_closing():
            with contextlib.suppress(OSError):  # the server was faster
                self._transport.write_eof()

    def cut(self) -> None:
        """Vanish."""
        self._transport.abort()

    async def answer(self, wanted: bytes) -> bool:
        """Wait until these bytes come; False where the server ends the connection instead.

        Raises:
            TimeoutError: neither happens.
        """
        if self.is_ended:
            return False
        self._wanted = wanted
        self._answered = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(BOUND_S):
            return await self._answered

    async def ended(self) -> None:
        """Wait for the end.

        Raises:
            TimeoutError: it does not come.
        """
        async with asyncio.timeout(BOUND_S):
            await self._ended

    async def log_in(self, user: str) -> bool:
        """Log in; False where the server does not want it."""
        login = connect_packet(user, None)
        self.send(UPGRADE + frame(login) if self._is_websocket else login)
        return await self.answer(_ACCEPTED)

    def listen(self, user: str) -> None:
        """Subscribe to what is the user's, over TCP."""
        topics = Topics()
        names = topics.events(user), *(topics.answers(user, device) for device in DEVICES)
        self.send(subscribe_packet(1, *((name, 0) for name in names)))


def _frame_at(raw: bytes) -> tuple[int, int] | None:
    """Where the first frame's payload starts and ends; None where it is not all there."""
    if len(raw) < 2:
        return None
    length, start = raw[1] & 0x7F, 2
    if length >= 126:
        start = 4 if length == 126 else 10
        if len(raw) < start:
            return None
        length = struct.unpack("!H" if start == 4 else "!Q", raw[2:start])[0]
    return (start, start + length) if len(raw) >= start + length else None
