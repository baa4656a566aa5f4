"""Work that a turn begins and waits for a moment only: a broker may take long to change who hears what, and calls that
have nothing to do with that go on meanwhile.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from ringline_broker.metrics import Counters
from ringline_broker.service.marking import DRAIN_S

log = logging.getLogger(__name__)

PATIENCE_S: Final = 1.0
"""How long whoever asks for work waits for it, seconds."""
T = TypeVar("T")


class Aside(Generic[T]):
    """Does one thing after the other, in a task of its own.

    Args:
        name: of the task.
        do: does one thing.
        counters: where it is counted that one failed.
    """

    def __init__(self, name: str, do: Callable[[T], Awaitable[None]], counters: Counters) -> None:
        self._name = name
        self._do = do
        self._counters = counters
        self._waiting: deque[T] = deque()
        self._working: asyncio.Task[None] | None = None

    async def have_done(self, work: T) -> None:
        """Have something done after what came before; return when it is, but after a second in any case, and at once
        where something before it takes longer than that.
        """
        self._waiting.append(work)
        if self._working is None:
            working = self._working = asyncio.create_task(self._work(), name=self._name)
            await asyncio.wait((working,), timeout=PATIENCE_S)

    async def stop(self) -> None:
        """Wait a little for what is being done."""
        if self._working is not None:
            await asyncio.wait((self._working,), timeout=DRAIN_S)
        if self._working is not None:
            self._working.cancel()

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._do_safely(self._waiting.popleft())
        finally:
            self._working = None

    async def _do_safely(self, work: T) -> None:
        try:
            await self._do(work)
        except Exception:
            self._counters.failed_turns += 1
            log.exception("requests about groups failed; their clients will repeat them")
