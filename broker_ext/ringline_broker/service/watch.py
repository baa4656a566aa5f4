"""Watches whether the store answers, so that a worker without one leaves the requests to others."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ringline_broker.service.ports import Clock, Store, StoreUnavailable

log = logging.getLogger(__name__)

_EVERY_MS: Final = 250
WITHIN_S: Final = 1.0
"""A store that takes longer is as good as gone."""


class StoreWatch:
    """Asks the store four times a second.

    Args:
        store: which.
        clock: for the pauses.
        lost: called when it stops to answer.
        back: called when it answers again.
    """

    def __init__(self, store: Store, clock: Clock, lost: Callable[[], None], back: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._lost = lost
        self._back = back
        self.answers = True

    async def run(self) -> None:
        """Go on until cancelled."""
        never = asyncio.Event()
        while True:
            await self._clock.wait(never, _EVERY_MS)
            answers = await self._asked()
            if answers != self.answers:
                self.answers = answers
                (self._back if answers else self._lost)()

    async def _asked(self) -> bool:
        # reading is enough: a worker that has left the share could answer no sync either
        fault = await store_fault(self._store, by_writing=False)
        if fault and self.answers:
            log.error("%s", fault)
        return not fault


async def store_fault(store: Store, *, by_writing: bool = True) -> str:
    """Why the store cannot be used just now; empty where it answers within a second.

    Args:
        store: which.
        by_writing: whether it must also take a write: one that is full reads well, and every call is in vain.
    """
    what = "does not answer"
    try:
        async with asyncio.timeout(WITHIN_S):
            await store.next_due()
            if by_writing:
                what = "takes no writes"
                await store.commit(())
    except StoreUnavailable as failed:
        return f"the store {what}: {failed}"
    except TimeoutError:
        return f"the store {what}: nothing within {WITHIN_S:.0f} s"
    return ""
