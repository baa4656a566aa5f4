"""Feeds inputs to a server, over many connections at a time."""

import asyncio
import random
import struct
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from tests.attacks.raw_mqtt import publish_packet
from tests.fuzz.connection import Connection
from tests.fuzz.inputs import Door, Input, Inputs
from tests.fuzz.packets import TOPICS
from tests.fuzz.payloads import EPOCH
from tests.fuzz.server import Found, FuzzedServer

WORKERS: Final = 6
_LEAVES: Final = 0.02
"""How often a connection that could stay vanishes without a word."""
_ALONE: Final = 0.8
_CROWD: Final = "127.0.0.2"
"""The address of all who have none of their own. The system routes all of 127.0.0.0/8 to itself."""


class Feeder:
    """Feeds.

    Args:
        server: to whom.
        inputs: what.
        spread: whether most connections come from an address of their own, so that limits by address hold up no more
            than the others.
    """

    def __init__(self, server: FuzzedServer, inputs: Inputs, *, spread: bool = False) -> None:
        self._server = server
        self._inputs = inputs
        self._spread = spread
        self._random = random.Random(0)
        self.fed: Counter[Door] = Counter()
        self.turned_away = 0
        self.ended_by_server = 0
        self.connections = 0
        self.last: deque[int] = deque(maxlen=4 * WORKERS)
        """Chunks that were begun last."""

    async def feed(self, chunks: Iterator[int]) -> None:
        """Feed whole chunks, by their index, and leave.

        Raises:
            Found: the server is at fault.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(_Worker(self).work(chunks))

    async def feed_one_by_one(self, numbers: list[int], fed: list[Input]) -> None:
        """Feed each on its own connection, and put it among those that were fed before.

        Raises:
            Found: the server is at fault; the last that was fed is to blame.
        """
        for number in numbers:
            fed.append(self._inputs.one(number))
            worker = _Worker(self)
            try:
                await worker.feed(fed[-1:])
                await worker.leave()
            finally:
                worker.cut()
            self._server.check()

    async def open(self, door: Door) -> Connection | None:
        """A new connection; None where the server turned it away."""
        port = self._server.ports["ws" if door.is_websocket else "default"]
        self.connections += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(is_websocket=door.is_websocket), "127.0.0.1", port,
                local_addr=(self._address(), 0) if self._spread else None,
            )  # fmt: skip
        except ConnectionError:
            self._server.check()
            return None
        return connection

    def _address(self) -> str:
        if self._random.random() > _ALONE:
            return _CROWD
        return "127.{}.{}.{}".format(*self._random.randbytes(2), self._random.randint(1, 254))

    def begin(self, index: int) -> list[Input]:
        """The inputs of a chunk; the server is looked at first."""
        self._server.check()
        self.last.append(index)
        return self._inputs.chunk(index)

    def leaves(self) -> bool:
        """Whether a connection is to vanish now."""
        return self._random.random() < _LEAVES


class _Worker:
    """One after the other."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._kept: dict[tuple[Door, str], Connection] = {}
        self._visits: list[Connection] = []

    async def work(self, chunks: Iterator[int]) -> None:
        epoch = 0
        try:
            for index in chunks:
                chunk = self._feeder.begin(index)
                if chunk[0].number // EPOCH != epoch:  # its users send nothing more
                    await self.leave()
                epoch = chunk[0].number // EPOCH
                await self.feed(chunk)
            await self.leave()
        finally:
            self.cut()

    async def feed(self, chunk: list[Input]) -> None:
        """Feed inputs through the door that all of them have."""
        try:
            match chunk[0].door:
                case Door.REQUEST:
                    await self._ask(chunk)
                case Door.USER | Door.CUT:
                    for one in chunk:
                        await self._say(one)
                case _:
                    for one in chunk:
                        await self._visit(one)
        except TimeoutError:
            numbers = f"{chunk[0].number}-{chunk[-1].number}"
            raise Found(f"inputs {numbers}: the server neither went on nor ended the connection") from None

    async def leave(self) -> None:
        """End all connections that are left."""
        for connection in self._kept.values():
            connection.end()
        for connection in self._kept.values():
            await connection.ended()
        self._kept.clear()

    def cut(self) -> None:
        """Vanish, with all that are left."""
        for connection in (*self._kept.values(), *self._visits):
            connection.cut()

    async def _visit(self, one: Input) -> None:
        """All of a connection at once."""
        connection = await self._feeder.open(one.door)
        if connection is None:
            self._feeder.turned_away += 1
            return
        self._visits = [connection]
        connection.send(one.data)
        connection.end()
        await connection.ended()
        self._feeder.fed[one.door] += 1

    async def _say(self, one: Input) -> None:
        """One more thing on a connection that is logged in."""
        connection = await self._logged_in(one)
        if connection is None:
            return
        self._feeder.fed[one.door] += 1
        connection.send(one.data)
        if not one.is_whole:
            connection.end()
            await connection.ended()
            return
        connection.send(one.marker)
        if not await connection.answer(one.answer):
            self._feeder.ended_by_server += 1
        elif self._feeder.leaves():
            connection.cut()
            await connection.ended()

    async def _ask(self, chunk: list[Input]) -> None:
        """Requests, all at once. They are acknowledged in their order, each when it has been dealt with."""
        connection = await self._logged_in(chunk[0], len(chunk))
        if connection is None:
            return
        self._feeder.fed[Door.REQUEST] += len(chunk)
        topic = TOPICS.requests(chunk[0].user)
        ids = [one.number % 65_535 + 1 for one in chunk]
        packets = [publish_packet(topic, one.data, 1, at) for one, at in zip(chunk, ids, strict=True)]
        connection.send(b"".join(packets))
        if not await connection.answer(b"\x40\x02" + struct.pack("!H", ids[-1])):
            self._feeder.ended_by_server += 1

    async def _logged_in(self, one: Input, count: int = 1) -> Connection | None:
        """The connection that is kept for this door and user, or a new one; None where the server does not want it."""
        connection = self._kept.get((one.door, one.user))
        if connection is not None and not connection.is_ended:
            return connection
        connection = await self._feeder.open(one.door)
        if connection is not None:
            self._kept[one.door, one.user] = connection
        if connection is None or not await connection.log_in(one.user):
            self._feeder.turned_away += count
            return None
        if one.door is Door.REQUEST:
            connection.listen(one.user)
        return connection
