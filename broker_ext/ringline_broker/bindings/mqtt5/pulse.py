"""Whether the broker at the other end of a connection is there, and acknowledges what it is sent: asked by pings."""

import asyncio
from collections.abc import Callable

from ringline_broker.service.ports import Clock


class Pulse:
    """Sends pings, and sees what comes of them. What a broker reads and writes on a connection is in order: one that
    answers a ping has read every message before it.

    Args:
        clock: for waiting.
        patience_s: seconds of answered pings that a message may stay unacknowledged.
        oldest: of the messages that are not acknowledged the one that was sent first, if any.
        ping: sends one.
        is_listening: whether what comes is read.
        give_up: told why there is no use in this broker.
    """

    def __init__(
        self, clock: Clock, patience_s: float, oldest: Callable[[], object | None], ping: Callable[[], None],
        is_listening: Callable[[], bool], give_up: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._clock = clock
        self._patience_s = patience_s
        self._oldest = oldest
        self._ping = ping
        self._is_listening = is_listening
        self._give_up = give_up
        self._is_heard = True
        self._pings = 0
        self._answered = 0
        self._watched: object | None = None
        self._enough = 0
        self._beating: asyncio.Task[None] | None = None

    def start(self, keep_alive_s: int) -> None:
        """Begin; there are two pings in the time announced."""
        self._beating = asyncio.create_task(self._beat(500 * keep_alive_s), name="ringline-keep-alive")

    def stop(self) -> None:
        """End; no more pings."""
        if self._beating is not None:
            self._beating.cancel()

    def heard(self) -> None:
        """Something came."""
        self._is_heard = True

    def answered(self) -> None:
        """The answer to a ping came, and everything that the broker said before it has been looked at."""
        self._answered += 1
        if self._watched is not None and self._answered >= self._enough and self._oldest() is self._watched:
            self._give_up(f"the broker answers pings, and left a message unacknowledged for {self._patience_s:g} s")

    async def _beat(self, interval_ms: int) -> None:
        """Send a ping each interval, and give up a broker that was silent from one to the next."""
        enough, never = -int(-1_000 * self._patience_s // interval_ms), asyncio.Event()
        while not await self._clock.wait(never, interval_ms):
            if not self._is_heard and self._is_listening():  # else it is we who do not listen
                self._give_up("the broker is silent")
                return
            self._is_heard = False
            self._pings += 1
            oldest = self._oldest()
            if oldest is not self._watched:
                self._watched, self._enough = oldest, self._pings + enough
            self._ping()
