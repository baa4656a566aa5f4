"""Publishes again what somebody committed and did not get to the broker: a process that died, or one cut off from it.

What is left is claimed for a lease, so that of many workers one does it, and in small parts, each only when the broker
has taken the one before: recovery never feeds an overload.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, NamedTuple

from ringline_broker.service.outage import Outage
from ringline_broker.service.ports import BrokerUnavailable, Clock, StoreUnavailable

log = logging.getLogger(__name__)

EVERY_MS: Final = 1_000
"""How often it is looked for what was left; also the longest wait for the broker to take a part, milliseconds."""
AT_ONCE: Final = 64
_PAUSE_MS: Final = 50
"""Between two parts."""


class Recovered(NamedTuple):
    """A part that was published again.

    Attributes:
        claimed: how many were claimed.
        handed: ends when the broker has them.
    """

    claimed: int
    handed: Collection[asyncio.Future[None]]


Recover = Callable[[int], Awaitable[Recovered]]
"""Recovers at most so many; raises StoreUnavailable, BrokerUnavailable."""


class Recovery:
    """Looks for what was left of one kind, every second.

    Args:
        clock: for the pauses.
        kind: what the log calls it, in the plural.
        recover: what is done.
        must_wait: whether others should do it: so many requests wait, or the broker does not take what it is handed.
    """

    def __init__(self, clock: Clock, kind: str, recover: Recover, must_wait: Callable[[], bool]) -> None:
        self._clock = clock
        self._recover = recover
        self._must_wait = must_wait
        self._outage = Outage(log, f"recovery of {kind} waits")

    async def at_start(self) -> None:
        """Recover all that may be claimed now, before anything else is done. Where the broker does not change
        permissions it is left for later, since others need not wait for that.

        Raises:
            StoreUnavailable: the store cannot be read or written.
        """
        try:
            while await self._part():
                pass
        except BrokerUnavailable as failed:
            self._outage.waits(failed)

    async def run(self) -> None:
        """Go on until cancelled."""
        never = asyncio.Event()
        while True:
            await self._clock.wait(never, _PAUSE_MS if await self._once() else EVERY_MS)

    async def _once(self) -> bool:
        """Whether there is more to do."""
        if self._must_wait():
            return False
        try:
            more = await self._part()
        except (StoreUnavailable, BrokerUnavailable) as failed:
            self._outage.waits(failed)
            return False
        except Exception:
            log.exception("recovery failed, and is tried again after the lease")
            return False
        self._outage.over()
        return more

    async def _part(self) -> bool:
        """Recover a part, and wait a little for the broker to have it; whether there may be more."""
        claimed, handed = await self._recover(AT_ONCE)
        if handed:
            await asyncio.wait(handed, timeout=EVERY_MS / 1000)
        return claimed == AT_ONCE
