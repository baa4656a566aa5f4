"""The extension over a store in memory, played turn by turn: real service, engine and outbox, no broker, no waiting."""

import asyncio
from collections.abc import Collection
from typing import Final, NamedTuple

from ringline_broker.engine.step import Deadline, NobodyOnline, step
from ringline_broker.service.ports import Change, Held, Incoming, Reach
from ringline_broker.service.service import Service
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock

START_MS: Final = 1_750_000_000_000


class Message(NamedTuple):
    """What was published."""

    topic: str
    payload: bytes


class _Collector:
    """A binding that keeps what it is handed."""

    def __init__(self) -> None:
        self.has_group_topics = True
        self.is_responsive = True
        self.messages: list[Message] = []

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach:
        del expiry_ms
        self.messages.append(Message(topic, payload))
        return Reach.SOMEBODY

    def open_group(self, gid: str, users: Collection[str]) -> None:
        """Nothing to do."""

    def close_group(self, gid: str, users: Collection[str] | None) -> None:
        """Nothing: nobody subscribes here."""


class _Kept(MemoryStore):
    """A store that outlives the service; what it has at a start nobody else is working at."""

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        del lease_ms
        return await super().claim_unmarked(0, limit)

    async def close(self) -> None:
        """Nothing: the next turn goes on with it."""


class Extension:
    """One extension, whose time stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self._store = _Kept(self.clock)

    def ask(self, user: str, payload: bytes) -> list[Message]:
        """A request of a user comes; everything that is published for it."""
        return asyncio.run(self._turn([(user, payload)]))

    def command(self, command: Deadline | NobodyOnline) -> list[Message]:
        """The extension acts by itself; everything that is published."""
        return asyncio.run(self._act(command))

    async def _turn(self, asked: list[tuple[str, bytes]]) -> list[Message]:
        binding = _Collector()
        service = Service(self._store, binding, self.clock)
        await service.start()
        for user, payload in asked:
            service.take(Incoming(user, payload, service.now(), _nothing))
        await service.stop()
        return binding.messages

    async def _act(self, command: Deadline | NobodyOnline) -> list[Message]:
        held = (await self._store.load([command.iid]))[command.iid].invitation
        made = step(held, command, self._store.now()).invitation
        assert made is not None
        assert await self._store.commit([Change(made, held.n)]) == [True]
        return await self._turn([])  # a start publishes what no mark covers


def _nothing() -> None:
    """A request needs no acknowledgement here."""
