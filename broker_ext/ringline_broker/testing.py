"""What tests need of the extension; it ships with it, so that an application's own tests can use it too."""

import asyncio
import threading
from asyncio import AbstractEventLoop
from typing import Final

_MOVE_WITHIN_S: Final = 10.0


class ManualClock:
    """A clock that stands still until it is moved. It is a `service.ports.Clock`.

    It may be moved from any thread. Time that an event loop reads moves on that loop's own thread, between two of its
    steps: whoever reads the time and then waits, without an await between, misses no move.

    Args:
        wall_ms: epoch ms to begin with.
    """

    def __init__(self, wall_ms: int = 1_750_000_000_000) -> None:
        self._wall = wall_ms
        self._monotonic = 1_000_000
        self._loop: AbstractEventLoop | None = None
        self._waiting: dict[asyncio.Task[bool], int] = {}
        self._lock = threading.Lock()

    def wall_ms(self) -> int:
        """Epoch milliseconds, as set."""
        self._loop = _running_loop() or self._loop
        return self._wall

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back."""
        self._loop = _running_loop() or self._loop
        return self._monotonic

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        """Wait for the event, at most until the clock was moved so far; True where it came."""
        until = self.monotonic_ms() + timeout_ms
        if event.is_set() or timeout_ms <= 0:
            return event.is_set()
        came = asyncio.create_task(event.wait())
        with self._lock:
            self._waiting[came] = until
        try:
            await asyncio.wait((came,))
        finally:
            with self._lock:
                self._waiting.pop(came)
            came.cancel()
        return event.is_set() or not came.cancelled()

    def advance(self, ms: int) -> None:
        """Let time pass: moves both clocks, and wakes whoever's time has come."""
        if ms < 0:
            raise ValueError(f"time does not go back: {ms}; the wall clock can, see set_wall")
        loop = self._loop
        if loop is None or loop is _running_loop() or not loop.is_running():
            self._move(ms)
            return
        moved = threading.Event()
        loop.call_soon_threadsafe(self._move, ms, moved)
        if not moved.wait(_MOVE_WITHIN_S):
            raise TimeoutError("the event loop that reads this clock is stuck")

    def set_wall(self, ms: int) -> None:
        """Set the wall clock, as somebody might set the machine's; nothing else moves, and nobody wakes."""
        self._wall = ms

    def _move(self, ms: int, moved: threading.Event | None = None) -> None:
        self._wall += ms
        self._monotonic += ms
        with self._lock:
            over = [came for came, until in self._waiting.items() if until <= self._monotonic]
        for came in over:
            if came.get_loop() is _running_loop():
                came.cancel()
            elif not came.get_loop().is_closed():
                came.get_loop().call_soon_threadsafe(came.cancel)
        if moved is not None:
            moved.set()


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
