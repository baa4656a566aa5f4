"""A server in this process whose store fails, and is held up, when the test says so."""

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager

from ringline_broker.engine.groups.model import Person, Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.server import Server
from ringline_broker.service.ports import Change, GroupChange, Held, HeldGroup, Mark, Store, StoreUnavailable, Usage
from tests.support.bound import BOUND_S
from tests.support.running import Ring


class FaultyStore:
    """A store in front of another.

    Attributes:
        broken: the methods that fail before anything is done.
        breaks_after: the methods that fail after everything was done.
        failures: how often each failed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken: frozenset[str] = frozenset()
        self.breaks_after: frozenset[str] = frozenset()
        self.failures: Counter[str] = Counter()
        self.open = asyncio.Event()
        self.open.set()
        self._failed = threading.Condition()

    def await_failure(self, method: str, bound_s: float = BOUND_S) -> None:
        """Wait until a method has failed; call it before anything may let it."""
        with self._failed:
            assert self._failed.wait_for(lambda: self.failures[method], bound_s), f"{method} never fails"

    async def _before(self, method: str) -> None:
        await self.open.wait()
        self._fail(method, self.broken)

    def _fail(self, method: str, broken: frozenset[str]) -> None:
        if method not in broken:
            return
        with self._failed:
            self.failures[method] += 1
            self._failed.notify_all()
        raise StoreUnavailable(f"{method} fails: the test says so")

    def now(self) -> int:
        return self._store.now()

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        await self._before("load")
        return await self._store.load(iids)

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        await self._before("commit")
        written = await self._store.commit(changes)
        self._fail("commit", self.breaks_after)
        return written

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        await self._before("claim_due")
        claimed = await self._store.claim_due(lease_ms, limit)
        self._fail("claim_due", self.breaks_after)
        return claimed

    async def next_due(self) -> int | None:
        await self._before("next_due")
        return await self._store.next_due()

    async def count_open(self) -> int:
        await self._before("count_open")
        return await self._store.count_open()

    async def mark(self, marks: Sequence[Mark]) -> None:
        await self._before("mark")
        await self._store.mark(marks)

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        await self._before("claim_unmarked")
        return await self._store.claim_unmarked(lease_ms, limit)

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        await self._before("of_user")
        return await self._store.of_user(user, since_ms, after, limit)

    async def usage(self, users: Collection[str]) -> Mapping[str, Usage]:
        await self._before("usage")
        return await self._store.usage(users)

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        await self._before("block")
        return await self._store.block(user, masks, limit)

    async def unblock(self, user: str, users: Collection[str]) -> None:
        await self._before("unblock")
        await self._store.unblock(user, users)

    async def blocked(self, user: str, after: str, limit: int) -> list[str]:
        await self._before("blocked")
        return await self._store.blocked(user, after, limit)

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        await self._before("blocking")
        return await self._store.blocking(pairs)

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        await self._before("load_groups")
        return await self._store.load_groups(wanted)

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        await self._before("commit_groups")
        written = await self._store.commit_groups(changes)
        self._fail("commit_groups", self.breaks_after)
        return written

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        await self._before("mark_groups")
        await self._store.mark_groups(marks)

    async def claim_unmarked_groups(self, lease_ms: int, limit: int) -> list[HeldGroup]:
        await self._before("claim_unmarked_groups")
        return await self._store.claim_unmarked_groups(lease_ms, limit)

    async def people(self, gid: str, standing: Standing, after: str, limit: int) -> list[Person]:
        await self._before("people")
        return await self._store.people(gid, standing, after, limit)

    async def last_members(self, gid: str, after: str, limit: int) -> list[str]:
        await self._before("last_members")
        return await self._store.last_members(gid, after, limit)

    async def groups_of(self, user: str, after: str, limit: int) -> list[tuple[str, int]]:
        await self._before("groups_of")
        return await self._store.groups_of(user, after, limit)

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        await self._before("of_group")
        return await self._store.of_group(gid, after, limit)

    async def purge(self, before_ms: int, limit: int) -> int:
        await self._before("purge")
        return await self._store.purge(before_ms, limit)

    async def close(self) -> None:
        await self._store.close()


class _FaultyServer(Server):
    store: FaultyStore

    def open_store(self) -> Store:
        self.store = FaultyStore(super().open_store())
        return self.store


class FaultyRing(Ring):
    """A ring whose store is faulty."""

    def start(self) -> None:
        self._server = _FaultyServer(self._config, self.clock)
        self._thread.run(self._server.start())

    @property
    def store(self) -> FaultyStore:
        assert isinstance(self._server, _FaultyServer)
        return self._server.store

    @contextmanager
    def broken(self, method: str, *, after: bool = False) -> Generator[None]:
        """Let a method fail, before or after it does anything, until it has failed and the block is over."""
        store = self.store
        store.failures[method] = 0
        if after:
            store.breaks_after = frozenset((method,))
        else:
            store.broken = frozenset((method,))
        yield
        store.await_failure(method)
        store.broken = store.breaks_after = frozenset()

    def hold_store(self) -> None:
        """Let every call of the store wait."""
        self.on_loop(self.store.open.clear)

    def release_store(self) -> None:
        """Let them go on."""
        self.on_loop(self.store.open.set)
