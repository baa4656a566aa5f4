"""Watches deadlines: sleeps to the next, claims what is due, and has it decided like any request."""

import asyncio
import logging
from collections.abc import Callable

from ringline_broker.engine.step import Deadline
from ringline_broker.service.outage import Outage
from ringline_broker.service.ports import Clock, Store, StoreUnavailable
from ringline_broker.settings import Settings

log = logging.getLogger(__name__)

_CLAIM_AT_ONCE = 256
_PURGE_AT_ONCE = 1_000
_LOOK_AGAIN_MS = 250
_PURGE_EVERY_MS = 60_000


class Timers:
    """Deadlines and retention.

    Args:
        store: whose deadlines.
        clock: for waiting.
        settings: the lease, which is also the longest sleep, and the retention.
        fire: takes the command for an invitation that is due.
        may_act: whether what is decided would be heard; where not, deadlines are left to other processes.
    """

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, fire: Callable[[Deadline], None],
        may_act: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._lease_ms = settings.lease_s * 1000
        self._retention_ms = settings.retention_s * 1000
        self._fire = fire
        self._may_act = may_act
        self._sooner = asyncio.Event()
        self._until = 0
        self._purge_at = 0
        self._outage = Outage(log, "deadlines wait")

    def look_at(self, due: int | None) -> None:
        """Tell of a new deadline, so that a sleep past it is cut short."""
        if due is not None and due < self._until:
            self._sooner.set()

    async def run(self) -> None:
        """Until cancelled. Where the store is out of reach, or what is done fails, it is tried again after a lease."""
        while True:
            try:
                await self._once()
            except StoreUnavailable as failed:
                self._outage.waits(failed)
                await self._sleep(self._lease_ms)
            except Exception:
                log.exception("deadlines failed, and are tried again after the lease")
                await self._sleep(self._lease_ms)

    async def _once(self) -> None:
        if not self._may_act():
            await self._sleep(min(_LOOK_AGAIN_MS, self._lease_ms))
            return
        claimed = await self._store.claim_due(self._lease_ms, _CLAIM_AT_ONCE)
        for iid in claimed:
            self._fire(Deadline(iid))
        if len(claimed) == _CLAIM_AT_ONCE or await self._purge():
            return
        self._until = self._store.now() + self._lease_ms
        due = await self._store.next_due()
        self._outage.over()
        now = self._store.now()
        await self._sleep(min(self._until, self._until if due is None else due) - now)

    async def _sleep(self, ms: int) -> None:
        if ms > 0:
            self._until = self._store.now() + ms
            await self._clock.wait(self._sooner, ms)
        self._sooner.clear()

    async def _purge(self) -> bool:
        """Forget what is old; whether there is more of it, which must not wait: a busy server would never catch up."""
        now = self._store.now()
        if now < self._purge_at:
            return False
        purged = await self._store.purge(now - self._retention_ms, _PURGE_AT_ONCE)
        if purged == _PURGE_AT_ONCE:
            return True
        self._purge_at = now + _PURGE_EVERY_MS
        return False
