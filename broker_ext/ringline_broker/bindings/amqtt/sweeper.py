"""Looks after all devices: one look at each, twice a second, instead of timers for each."""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from ringline_broker.bindings.amqtt.device import Device
from ringline_broker.bindings.amqtt.plugin import IDENTITY, Gate
from ringline_broker.service.sparing import SparingLog
from ringline_broker.settings import ConnectionLimits

log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
_AT_ONCE: Final = 256
"""Devices looked at before others have their turn."""


class Sweeper:
    """Cuts off who is late, who may not stay, and who takes too much; reads on from who was slowed down.

    Args:
        devices: those there are, always as they are now.
        gate: tells who may stay.
        limits: what all of them may take together.
        told: where what users bring about is logged.
    """

    def __init__(
        self, devices: Collection[Device], gate: Gate, limits: ConnectionLimits, told: SparingLog
    ) -> None:
        self._devices = devices
        self._gate = gate
        self._limits = limits
        self._log = told

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self._gate.look()
            waiting = 0
            for number, device in enumerate(tuple(self._devices)):
                if number % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)
                try:
                    self._look_at(device)
                    waiting += device.link.waiting
                except Exception:
                    log.exception("connection from %s cannot be looked after", device.link.peer)
            if waiting > self._limits.max_waiting_bytes:
                self._relieve(waiting)

    def _look_at(self, device: Device) -> None:
        identity = None if device.session is None else device.session.attributes.get(IDENTITY)
        if device.is_late:
            who, peer = device.user or "?", device.link.peer
            self._log.info("connection of %s from %s is over its time: cut off", who, peer, extra=_about(device))
            device.cut_off()
        elif device.user and identity is not None and not self._gate.may_stay(identity):
            who, peer = device.user, device.link.peer
            self._log.info("connection of %s from %s may not stay: cut off", who, peer, extra=_about(device))
            device.cut_off()
        else:
            device.go_on_in_time()

    def _relieve(self, waiting: int) -> None:
        """Cut off those with the most bytes waiting, until there are no more than may be."""
        for device in sorted(self._devices, key=lambda one: one.link.waiting, reverse=True):
            if waiting <= self._limits.max_waiting_bytes:
                break
            waiting -= device.link.waiting
            who, peer = device.user, device.link.peer
            self._log.warning("too much waits to be sent; %s from %s does not keep up", who, peer, extra=_about(device))
            device.cut_off()


def _about(device: Device) -> dict[str, object]:
    """The user, for logs."""
    return {"user": device.user} if device.user else {}
