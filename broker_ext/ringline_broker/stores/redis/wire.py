"""One connection to one server: sends commands, and returns their replies in order."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final, cast

import hiredis

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.redis.refusals import refused
from ringline_broker.stores.redis.scripts import Command, Reply
from ringline_broker.stores.redis.url import Address, Login

_NOTHING: Final = object()
_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)


class Wire(asyncio.Protocol):
    """A connection that stands."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._transport: asyncio.Transport | None = None
        self._replies: list[Reply] = []
        self._wanted = 0
        self._answered: asyncio.Future[None] | None = None
        self._over = asyncio.get_running_loop().create_future()
        self.hello: list[Reply] = []
        """What it answered first."""

    @property
    def lost(self) -> bool:
        """Whether it is over."""
        return self._over.done()

    async def ask(self, commands: Sequence[Command], until: float | None = None) -> list[Reply]:
        """Send commands together and wait for all replies; errors are among them. One call at a time.

        Args:
            commands: these.
            until: how long, by the loop's time; None where the caller sees to that.

        Raises:
            OSError: the connection is lost, or TimeoutError; what became of the commands is not known.
        """
        if self._transport is None or self.lost:
            raise ConnectionResetError("it closed the connection")
        self._replies, self._wanted = [], len(commands)
        loop = asyncio.get_running_loop()
        self._answered = loop.create_future()
        self._transport.write(b"".join(map(_pack, commands)))
        # a fifth of what asyncio.timeout costs
        bound = loop.call_at(until, self._give_up, TimeoutError()) if until is not None else None
        try:
            await self._answered
        finally:
            if bound is not None:
                bound.cancel()
        return self._replies

    async def close(self) -> None:
        """Let go of it."""
        self.abort()
        await self._over

    def abort(self) -> None:
        """Let go of it, soon."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        reader, replies = self._reader, self._replies
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                replies.append(reply)
        except hiredis.ProtocolError:
            self.abort()
            return
        if len(replies) >= self._wanted and self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over.done():
            self._over.set_result(None)
        self._give_up(exc or ConnectionResetError("it closed the connection"))

    def _give_up(self, why: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(why)


async def connect(address: Address, login: Login, tls: ssl.SSLContext | None, hello: Sequence[Command] = ()) -> Wire:
    """Connect and log in.

    Args:
        address: where to.
        login: as whom.
        tls: how it is encrypted, or None.
        hello: what to send first.

    Raises:
        StoreUnavailable: nobody is there, or will not have us; the message says what to do.
    """
    loop = asyncio.get_running_loop()
    try:
        _, wire = await loop.create_connection(Wire, address.host, address.port, ssl=tls)
    except ssl.SSLError as failed:
        text = "see whether it has TLS on this port, and the ssl_ options of the store's URL"
        raise StoreUnavailable(f"redis at {address}: no encrypted connection: {failed}", text) from failed
    except OSError as failed:
        why = failed.strerror or failed
        raise StoreUnavailable(f"no redis at {address}: {why}", "start it, or correct the store's URL") from failed
    try:
        password = login.command()
        commands = [password, *hello] if password is not None else [*hello]
        wire.hello = await wire.ask(commands) if commands else []
        for reply in wire.hello:
            if isinstance(reply, hiredis.ReplyError):
                raise refused(address, reply)
    except OSError as failed:
        text = "see whether it is redis that listens there, and look in its log"
        raise StoreUnavailable(f"redis at {address} went away: {failed}", text) from failed
    except BaseException:
        wire.abort()
        raise
    return wire
