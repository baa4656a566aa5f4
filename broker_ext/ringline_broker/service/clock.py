"""The real clock, and store time on top of any clock."""

import asyncio
import time

from ringline_broker.service.ports import Clock


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds from an arbitrary start."""
        return time.monotonic_ns() // 1_000_000

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        """Wait for the event, at most so long."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await event.wait()
        except TimeoutError:
            return False


class SteadyTime:
    """Store time for a store of one process: the wall clock read once, then the monotonic clock.

    Args:
        clock: the machine's.
        at_least: epoch ms that time must not start before, the newest a store already holds: a clock set back while
            the process was down moves no deadline either.
    """

    def __init__(self, clock: Clock, at_least: int = 0) -> None:
        self._clock = clock
        self._offset = max(clock.wall_ms(), at_least) - clock.monotonic_ms()

    def now(self) -> int:
        """Epoch milliseconds."""
        return self._clock.monotonic_ms() + self._offset
