"""All inputs there are for a seed, each by its number and like no other's."""

import random
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.fuzz.frames import Frames, frame
from tests.fuzz.packets import Packets, is_whole, marker
from tests.fuzz.payloads import Payloads, hostile

CHUNK: Final = 16
"""Inputs that follow one another through one door, as one user."""


class Door(Enum):
    """Where an input goes in."""

    STRANGER = "TCP, not logged in"
    USER = "TCP, logged in"
    REQUEST = "request topic"
    UPGRADE = "WebSocket, upgrade"
    FRAMES = "WebSocket, frames"
    CUT = "WebSocket, MQTT cut across frames"

    @property
    def is_websocket(self) -> bool:
        """Whether it is the WebSocket port."""
        return self in (Door.UPGRADE, Door.FRAMES, Door.CUT)

    @property
    def is_kept(self) -> bool:
        """Whether it is a connection that is logged in and stays, as long as the server lets it."""
        return self in (Door.USER, Door.REQUEST, Door.CUT)


_SHARES: Final = {
    Door.STRANGER: 14, Door.USER: 30, Door.REQUEST: 40, Door.UPGRADE: 4, Door.FRAMES: 4, Door.CUT: 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Input:
    """One input.

    Attributes:
        number: its own.
        door: where it goes in.
        user: who sends it, where somebody is logged in.
        data: the bytes; the payload alone for a request.
        is_whole: whether the marker after it is read as a packet of its own. Else the connection has to end after it.
        marker: what to send after it; empty for a request and a connection that ends.
        answer: what the server then sends, once it is through with the input.
    """

    number: int
    door: Door
    user: str
    data: bytes
    is_whole: bool = False
    marker: bytes = b""
    answer: bytes = b""


class Inputs:
    """The inputs of one seed.

    Args:
        seed: any number.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random()
        payloads = Payloads(self._random)
        self._payloads = payloads
        self._packets = Packets(self._random, payloads)
        self._frames = Frames(self._random, self._packets)

    def chunk(self, index: int) -> list[Input]:
        """Those of the numbers from CHUNK times index on."""
        return [self.one(number) for number in range(index * CHUNK, (index + 1) * CHUNK)]

    def one(self, number: int) -> Input:
        """That of one number."""
        self._random.seed(self._seed << 64 | number // CHUNK << 1 | 1)
        door = self._random.choices(list(_SHARES), list(_SHARES.values()))[0]
        user = self._random.choice(hostile(number))
        self._random.seed(self._seed << 64 | number << 1)
        match door:
            case Door.STRANGER:
                return Input(number, door, "", self._packets.of_stranger(number))
            case Door.UPGRADE:
                return Input(number, door, "", self._frames.upgrade())
            case Door.FRAMES:
                return Input(number, door, user, self._frames.stream(number, user))
            case Door.REQUEST:
                return Input(number, door, user, self._payloads.make(number), is_whole=True)
            case Door.USER:
                data = self._packets.of_user(number, user)
                return Input(number, door, user, data, is_whole(data), *marker(number))
            case Door.CUT:
                data = self._packets.of_user(number, user)
                mark, answer = marker(number)
                return Input(number, door, user, self._frames.cut(data), is_whole(data), frame(mark), answer)
