"""Keeps one connection to the broker up, with what is wanted subscribed on it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ringline_broker.bindings.mqtt5.connection import Connection
from ringline_broker.bindings.mqtt5.failures import BrokerFailure, BrokerUnreachable
from ringline_broker.service.ports import Clock

log = logging.getLogger(__name__)

_FIRST_MS: Final = 100
_LONGEST_MS: Final = 10_000
_STEADY_MS: Final = 10_000
"""A connection that held as long was a good one: after it, waiting begins anew."""
_chance = random.SystemRandom().random


class Backoff:
    """How long to wait before the next attempt: doubling, each anywhere in the upper half, so that workers that lost
    their broker together do not come back together.
    """

    def __init__(self, chance: Callable[[], float] = _chance) -> None:
        self._chance = chance
        self._full_ms = _FIRST_MS

    def next_ms(self) -> int:
        """Milliseconds, 100 to 10,000 before half of it is left to chance; at least 100."""
        full, self._full_ms = self._full_ms, min(2 * self._full_ms, _LONGEST_MS)
        return max(_FIRST_MS, int(full * (0.5 + 0.5 * self._chance())))

    def reset(self) -> None:
        """Begin anew."""
        self._full_ms = _FIRST_MS


class Keeper:
    """Connects, and connects again.

    Args:
        connect: makes a connection, or raises BrokerFailure.
        clock: for waiting.
        on_up: told of a connection, once everything wanted is subscribed on it.
        on_down: told why a connection that was up is over.
        backoff: how long to wait between attempts.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        clock: Clock,
        on_up: Callable[[Connection], None],
        on_down: Callable[[str], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._on_up = on_up
        self._on_down = on_down
        self._backoff = backoff or Backoff()
        self._wanted: frozenset[str] = frozenset()
        self._has: frozenset[str] = frozenset()
        self.steady = asyncio.Event()
        """Set while what is subscribed is what is wanted."""
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._up: asyncio.Future[None] | None = None
        self._failure: BrokerFailure | None = None

    def want(self, filters: Sequence[str]) -> None:
        """Subscribe these and nothing else, now and on every later connection. Done soon."""
        self._wanted = frozenset(filters)
        self._look()
        self._changed.set()

    @property
    def has(self) -> frozenset[str]:
        """What is subscribed now."""
        return self._has

    async def start(self, within_s: float) -> None:
        """Begin, and wait until the first connection is up.

        Raises:
            BrokerFailure: why it is not; nothing goes on then.
        """
        self._up = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(), name="ringline-broker")
        try:
            async with asyncio.timeout(within_s):
                await self._up
        except TimeoutError:
            await self.stop()
            raise self._failure or BrokerUnreachable(f"no connection within {within_s:g} s") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the connection; nothing comes any more."""
        self._stopping.set()
        self._changed.set()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._one_connection()
            except BrokerFailure as failed:
                if not self._must_go_on(failed):
                    return
            except Exception:
                log.exception("a connection to the broker failed; connecting again")
            if await self._clock.wait(self._stopping, self._backoff.next_ms()):
                return

    async def _one_connection(self) -> None:
        """Connect, and serve that connection to its end.

        Raises:
            BrokerFailure: it never came up, or could not be given what was wanted.
        """
        connection = await self._connect()
        since_ms = self._clock.monotonic_ms()
        connection.on_end = self._changed.set
        is_up = False
        try:
            while not connection.ended.is_set():
                self._changed.clear()
                await self._subscribe(connection)
                if not is_up:
                    is_up = True
                    self._came_up(connection)
                await self._changed.wait()
            if not is_up:
                raise BrokerUnreachable(connection.reason)
        finally:
            self._has = frozenset()
            self._look()
            connection.close()
            if is_up:
                self._on_down(connection.reason)
            if self._clock.monotonic_ms() - since_ms >= _STEADY_MS:
                self._backoff.reset()

    async def _subscribe(self, connection: Connection) -> None:
        """Until the connection has what is wanted; what is wanted may change meanwhile."""
        while (wanted := self._wanted) != self._has and not connection.ended.is_set():
            if less := sorted(self._has - wanted):
                await connection.unsubscribe(less)
            if more := sorted(wanted - self._has):
                await connection.subscribe(more)
            self._has = wanted
        self._look()

    def _look(self) -> None:
        if self._has == self._wanted:
            self.steady.set()
        else:
            self.steady.clear()

    def _came_up(self, connection: Connection) -> None:
        self._failure = None
        self._on_up(connection)
        if self._up is not None and not self._up.done():
            self._up.set_result(None)

    def _must_go_on(self, failed: BrokerFailure) -> bool:
        """Whether to try again. At the start nobody does where somebody has to mend something; later, always."""
        if self._up is not None and not self._up.done():
            self._failure = failed
            if failed.lasts:
                self._up.set_exception(failed)
                return False
        elif str(failed) != str(self._failure):
            self._failure = failed
            log.error("%s; trying again until it works", failed)
        return True
