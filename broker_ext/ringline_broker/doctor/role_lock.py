"""Whether a worker that died has left its lock on Mosquitto's roles behind; see bindings/mosquitto/permissions.py."""

import asyncio
from typing import Final

from ringline_broker.bindings.mosquitto.control import Control, connected
from ringline_broker.bindings.mosquitto.permissions import HELD_MS
from ringline_broker.bindings.mosquitto.roles import Roles
from ringline_broker.bindings.mqtt5.failures import SubscribeRefused
from ringline_broker.doctor.broker import AREA, BrokerChecks
from ringline_broker.doctor.report import Check, Found, Skipped, ok, warn
from ringline_broker.doctor.target import Target
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import BrokerUnavailable, Clock

_LOOK_EVERY_MS: Final = 500
_ANSWER_S: Final = 2.0
_FREE: Final = (
    "see in the workers' logs why one died; the next that changes who hears a group takes the lock away, and until "
    "then nobody needs it"
)


class RoleLock:
    """The check of the lock.

    Args:
        target: the broker.
        broker: whether the worker may log in.
        clock: for how long the lock is looked at.
    """

    def __init__(self, target: Target, broker: BrokerChecks, clock: Clock | None = None) -> None:
        self._target = target
        self._broker = broker
        self._clock = clock or SystemClock()
        self._name = Roles(target.topics).lock

    def check(self) -> Check:
        """Whether somebody has it for longer than a living worker would."""
        return Check(AREA, "lock on roles", self._look)

    async def _look(self) -> Found:
        if not self._broker.lets_in:
            raise Skipped("there is no login")
        try:
            async with connected(self._target.address, SystemClock()) as control:
                # a broker that has no roles may take the question, and say nothing
                first = await asyncio.wait_for(self._holder(control), _ANSWER_S)
                return await self._watch(control, first)
        except (SubscribeRefused, BrokerUnavailable, TimeoutError):
            text = "the worker's account is told of no roles, and need not be without --permissions dynsec"
            raise Skipped(text) from None

    async def _watch(self, control: Control, first: str) -> Found:
        """Until it is free or somebody else's, or was one holder's for too long."""
        holder = first
        until_ms = self._clock.monotonic_ms() + HELD_MS
        while holder and holder == first:
            if self._clock.monotonic_ms() >= until_ms:
                return warn(f"{self._name} was somebody's for {HELD_MS / 1_000:g} s, who must have died with it", _FREE)
            await self._clock.wait(asyncio.Event(), _LOOK_EVERY_MS)
            holder = await self._holder(control)
        return ok("free" if not holder else "in use")

    async def _holder(self, control: Control) -> str:
        (told,) = await control.run([{"command": "getRole", "rolename": self._name}])
        return str(told.data.get("role", {}).get("textname", ""))
