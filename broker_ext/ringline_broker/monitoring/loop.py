"""The event loop, seen from another thread: whether it moves, and what is asked on it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
_BEAT_S: Final = 1.0
ANSWER_S: Final = 3.0
"""Seconds; a store that is asked takes at most one."""


class LoopView:
    """Made on the loop that it is about.

    Args:
        clock: seconds that never go back.
        answer_s: seconds that the loop has to do what it is asked.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, answer_s: float = ANSWER_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._answer_s = answer_s
        self._moved_at = clock()
        self._next = self._loop.call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        self._moved_at = self._clock()
        self._next = self._loop.call_later(_BEAT_S, self._beat)

    def close(self) -> None:
        """Look no more; called on the loop."""
        self._next.cancel()

    @property
    def still_s(self) -> float:
        """Seconds since the loop moved last; up to one is usual."""
        return self._clock() - self._moved_at

    def ask(self, asked: Coroutine[Any, Any, T]) -> T:
        """Have the loop do this, and wait for it; for other threads.

        Raises:
            TimeoutError: it did not in time.
        """
        answer = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return answer.result(self._answer_s)
        except TimeoutError:
            answer.cancel()
            raise TimeoutError(f"the event loop did not answer within {self._answer_s:g} s") from None
