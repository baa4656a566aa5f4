"""One connection, from the moment it is accepted: before there are packets on it there is no device."""

import asyncio
import socket
from typing import Any

from ringline_broker.bindings.amqtt.admission import address_key
from ringline_broker.bindings.amqtt.device import Device


class Visit:
    """A connection, as admission counts it.

    Args:
        raw: the accepted socket.
        peer: the address it comes from.
        now: when, seconds.
    """

    def __init__(self, raw: socket.socket, peer: str, now: float) -> None:
        self.raw = raw
        self.peer = peer
        self.address = address_key(peer)
        self.began = now
        self.device: Device | None = None
        self.task: asyncio.Task[Any] | None = None

    @property
    def user(self) -> str:
        """Who is logged in, or empty."""
        return "" if self.device is None else self.device.user

    @property
    def has_spoken(self) -> bool:
        """Whether its CONNECT came."""
        return self.device is not None and self.device.has_spoken

    @property
    def heard_at(self) -> float:
        """When something came last, seconds."""
        return self.began if self.device is None else self.device.heard_at

    def send_away(self) -> None:
        """End it at once."""
        if self.device is not None:
            self.device.cut_off()
        elif self.task is not None:
            self.task.cancel()  # in its handshake
