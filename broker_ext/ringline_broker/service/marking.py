"""Moves marks once the broker has taken what they stand for, in the order in which it was handed over."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from ringline_broker.service.ports import Mark, StoreUnavailable

DRAIN_S: Final = 2.0
"""How long a stopping service waits for the broker to take what it was handed, seconds."""


class Marking:
    """The marks of invitations, or of groups, of one process.

    Args:
        move: moves them in the store.
    """

    def __init__(self, move: Callable[[Sequence[Mark]], Awaitable[None]]) -> None:
        self._move = move
        self._on_their_way: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: asyncio.Task[None] | None = None

    def version(self, name: str) -> int:
        """Up to which version this process is handing events over, or has and did not mark them yet; 0 for none."""
        return self._on_their_way.get(name, 0)

    def look(self, names: Iterable[str]) -> Callable[[str, int], int]:
        """Look at what is on its way, before the store is asked for these: it may become a mark that the store's answer
        does not show.

        Returns:
            Given an id and the mark that was loaded: where the events of it that still have to be published begin. To
            be asked as soon as the store has answered.
        """
        before = {name: self.version(name) for name in names}
        return lambda name, loaded: max(loaded, before[name], self.version(name))

    def expect(self, marks: list[Mark], lost: Awaitable[frozenset[str]]) -> asyncio.Task[None]:
        """Move these once their events are with the broker.

        Args:
            marks: which.
            lost: comes once that is known; the ids of which something was given up. Those are not marked, and recovery
                publishes them again.

        Returns:
            Ends when they are moved.
        """
        for mark in marks:
            self._on_their_way[mark.iid] = max(mark.to, self.version(mark.iid))
        task = self._last = asyncio.create_task(self._mark(marks, lost, self._last))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Wait a little for what is on its way; what is not with the broker by then is recovered later."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)
        for task in self._tasks:
            task.cancel()

    async def _mark(
        self, marks: list[Mark], lost: Awaitable[frozenset[str]], before: "asyncio.Task[None] | None"
    ) -> None:
        try:
            gone = await lost
            if before is not None:  # a mark goes over nothing that is not marked yet
                await asyncio.wait((before,))
            with contextlib.suppress(StoreUnavailable):  # it may lag
                await self._move([mark for mark in marks if mark.iid not in gone])
        finally:
            for mark in marks:
                if self._on_their_way.get(mark.iid) == mark.to:
                    del self._on_their_way[mark.iid]
