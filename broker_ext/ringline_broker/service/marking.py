"""Moves marks once the broker has taken what they stand for."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from ringline_broker.service.handover import Lost, when_known
from ringline_broker.service.ports import Mark, StoreUnavailable

log = logging.getLogger(__name__)

DRAIN_S: Final = 2.0
"""How long a stopping service waits for the broker to take what it was handed, seconds."""


class _Known(NamedTuple):
    """Marks of what was handed over together, once the broker has said of everything whether it has it."""

    marks: list[Mark]
    gone: frozenset[str]
    moved: asyncio.Future[None]


class Marking:
    """The marks of invitations, or of groups, of one process.

    Args:
        move: moves them in the store.
    """

    def __init__(self, move: Callable[[Sequence[Mark]], Awaitable[None]]) -> None:
        self._move = move
        self._on_their_way: dict[str, int] = {}
        self._expected: set[asyncio.Future[None]] = set()
        self._known: list[_Known] = []
        self._moving: asyncio.Task[None] | None = None
        self._is_over = False

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

    def expect(self, marks: list[Mark], lost: Lost) -> asyncio.Future[None]:
        """Move these once their events are with the broker.

        Args:
            marks: which.
            lost: the ids of which something was given up. Those are not marked, and recovery publishes them again.

        Returns:
            Ends when they are moved, or it is known that they will not be.
        """
        for mark in marks:
            self._on_their_way[mark.iid] = max(mark.to, self.version(mark.iid))
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected.add(moved)
        moved.add_done_callback(self._expected.discard)
        when_known(lost, lambda gone: self._is_known(_Known(marks, gone, moved)))
        return moved

    async def stop(self) -> None:
        """Wait a little for what is on its way; what is not with the broker by then is recovered later."""
        if self._expected:
            await asyncio.wait(self._expected, timeout=DRAIN_S)
        self._is_over = True
        if self._moving is not None:
            self._moving.cancel()

    def _is_known(self, known: _Known) -> None:
        self._known.append(known)
        if self._moving is None and not self._is_over:
            self._moving = asyncio.get_running_loop().create_task(self._move_known())

    async def _move_known(self) -> None:
        try:
            while self._known:
                known, self._known = self._known, []
                await self._move_some(known)
        finally:
            self._moving = None

    async def _move_some(self, known: list[_Known]) -> None:
        try:
            with contextlib.suppress(StoreUnavailable):  # it may lag
                await self._move([mark for one in known for mark in one.marks if mark.iid not in one.gone])
        except Exception:
            log.exception("marks were not moved; what they stand for is published again after the lease")
        finally:
            for one in known:
                self._forget(one)

    def _forget(self, known: _Known) -> None:
        for mark in known.marks:
            if self._on_their_way.get(mark.iid) == mark.to:
                del self._on_their_way[mark.iid]
        if not known.moved.done():
            known.moved.set_result(None)
