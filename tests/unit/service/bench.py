"""A service on a bench: a store in memory that can be made to fail, a broker that remembers, time that jumps."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from ringline.protocol.answers import Answer, decode_answer
from ringline.protocol.events import Event, decode_event, decode_events
from ringline.protocol.group_requests import DismissGroup
from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline.protocol.requests import Sync, encode_request
from ringline.protocol.shapes import Request
from ringline.protocol.topics import Topics
from ringline_broker.engine.groups.step import group_step
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, step
from ringline_broker.service.ports import Change, GroupChange, Held, HeldGroup, Incoming, Mark, Reach, StoreUnavailable
from ringline_broker.service.service import Service
from ringline_broker.settings import Settings
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock
from tests.support.turns import let_run
from tests.unit.engine.play import new_id

T = TypeVar("T")
TOPICS = Topics()


class _Jumping(selectors.SelectSelector):
    """Nothing is awaited from outside, so time passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits, and nothing would ever happen")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end, on a loop whose seconds take no time."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        return runner.run(main())


class FaultyStore(MemoryStore):
    """A store in memory that fails where a test says so.

    Attributes:
        down: the methods that cannot be reached just now.
        fails: what they raise, where that is not that the store is unavailable.
        loses_marks: marks are not kept, as after a crash between publish and mark.
        loses_answer: the next commit of groups is done, and not answered.
        before_commit: another process, which is faster; called once, before the next commit.
        after_commit: called once, after the next commit.
        gate: loading waits for it, where it is set.
        answer_gate: what was loaded waits for it, where it is set: a store that answers late.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.down: set[str] = set()
        self.fails: type[Exception] = StoreUnavailable
        self.loses_marks = False
        self.loses_answer = False
        self.before_commit: Callable[[], Awaitable[object]] | None = None
        self.after_commit: Callable[[], object] | None = None
        self.gate: asyncio.Event | None = None
        self.answer_gate: asyncio.Event | None = None
        self.commits: list[int] = []
        self.closed = False

    def _check(self, method: str) -> None:
        if method in self.down:
            raise self.fails(f"no {method} today")

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        if self.gate is not None:
            await self.gate.wait()
        self._check("load")
        found = await super().load(iids)
        if self.answer_gate is not None:
            await self.answer_gate.wait()
        return found

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        if (other := self.before_commit) is not None:
            self.before_commit = None
            await other()
        self._check("commit")
        self.commits.append(len(changes))
        written = await super().commit(changes)
        if (then := self.after_commit) is not None:
            self.after_commit = None
            then()
        return written

    async def mark(self, marks: Sequence[Mark]) -> None:
        self._check("mark")
        if not self.loses_marks:
            await super().mark(marks)

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        self._check("claim_due")
        return await super().claim_due(lease_ms, limit)

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        self._check("claim_unmarked")
        return await super().claim_unmarked(lease_ms, limit)

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        self._check("of_user")
        return await super().of_user(user, since_ms, after, limit)

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        self._check("load_groups")
        return await super().load_groups(wanted)

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        self._check("commit_groups")
        written = await super().commit_groups(changes)
        if self.loses_answer:
            self.loses_answer = False
            raise StoreUnavailable("no answer in time")
        return written

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        self._check("of_group")
        return await super().of_group(gid, after, limit)

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        self._check("block")
        return await super().block(user, masks, limit)

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        self._check("blocking")
        return await super().blocking(pairs)

    async def close(self) -> None:
        self.closed = True
        await super().close()


class Broker:
    """A binding that remembers what it was handed.

    Attributes:
        messages: topic, payload and expiry, in order.
        reach: what it says of a user's events; SOMEBODY where nothing is set.
        breaks: it raises, once.
        is_responsive: whether it takes what it is handed.
        opened, closed: to whom topics of groups were given and from whom they were taken away, in order.
        permits: what is awaited until they were given.
    """

    def __init__(self) -> None:
        self.has_group_topics = True
        self.is_responsive = True
        self.messages: list[tuple[str, bytes, int | None]] = []
        self.reach: dict[str, Reach | Callable[[], asyncio.Future[Reach]]] = {}
        self.breaks = False
        self.opened: list[tuple[str, tuple[str, ...]]] = []
        self.closed: list[tuple[str, tuple[str, ...] | None]] = []
        self.permits: Callable[[str], Awaitable[None]] | None = None

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach | asyncio.Future[Reach]:
        """Remember."""
        if self.breaks:
            self.breaks = False
            raise RuntimeError("the broker is broken")
        assert len(payload) <= MAX_MESSAGE_BYTES
        self.messages.append((topic, payload, expiry_ms))
        said = self.reach.get(topic.split("/")[3], Reach.SOMEBODY)
        return said if isinstance(said, Reach) else said()

    def open_group(self, gid: str, users: Collection[str]) -> Awaitable[None] | None:
        """Remember."""
        self.opened.append((gid, tuple(users)))
        return self.permits(gid) if self.permits is not None else None

    def close_group(self, gid: str, users: Collection[str] | None) -> None:
        """Remember."""
        self.closed.append((gid, None if users is None else tuple(users)))

    def heard(self, user: str) -> list[Event]:
        """The events of a user, in the order they were handed over."""
        return [event for batch in self.batches(user) for event in batch]

    def batches(self, user: str) -> list[list[Event]]:
        """The same, message by message."""
        payloads = [payload for topic, payload, _ in self.messages if topic == TOPICS.events(user)]
        return [_read(decode_events(payload)) for payload in payloads]

    def names(self, user: str) -> list[str]:
        """The names of the events of a user."""
        return [event.ev for event in self.heard(user)]

    def answers(self, user: str, device: str = "d1") -> list[Answer]:
        """The answers to a device, in order."""
        topic = TOPICS.answers(user, device)
        return [decode_answer(payload) for where, payload, _ in self.messages if where == topic]

    def errors(self, user: str, device: str = "d1") -> list[str]:
        """The names of its refusals."""
        return [answer.err.name for answer in self.answers(user, device) if answer.err is not None]


class Bench:
    """A service with all around it; use it as `async with`."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.store = FaultyStore(self.clock)
        self.broker = Broker()
        settings.setdefault("request_rate", 0)  # tests ask faster than people
        self.settings = Settings(**settings)
        self.service = Service(self.store, self.broker, self.clock, self.settings)
        self.settled = 0

    async def __aenter__(self) -> Self:
        await self.service.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop()

    def take(self, user: str, request: Request, received_ms: int | None = None) -> None:
        """A request comes in."""
        self.take_raw(user, encode_request(request), received_ms)

    def take_raw(self, user: str, payload: bytes, received_ms: int | None = None) -> None:
        """The same, whatever it is."""
        at = self.store.now() if received_ms is None else received_ms
        self.service.take(Incoming(user, payload, at, self._settle))

    def _settle(self) -> None:
        self.settled += 1

    async def ask(self, user: str, *requests: Request) -> None:
        """Requests that come in together, until all that follows from them is done."""
        before = self.settled
        for request in requests:
            self.take(user, request)
        await let_run()
        assert self.settled == before + len(requests)

    async def sync(self, user: str, **fields: Any) -> Answer:
        """One page."""
        await self.ask(user, Sync(id=new_id(), dev="d1", **fields))
        return self.broker.answers(user)[-1]

    async def pages(self, user: str, **fields: Any) -> list[Answer]:
        """All pages of a sync."""
        pages = [await self.sync(user, **fields)]
        while pages[-1].more:
            assert pages[-1].next
            pages.append(await self.sync(user, next=pages[-1].next, **fields))
            assert len(pages) < 100
        return pages

    async def elsewhere(self, user: str, request: Any) -> None:
        """Another process deals with a request: committed, and nothing published yet."""
        held = (await MemoryStore.load(self.store, [request.iid])).get(request.iid)
        before = None if held is None else held.invitation
        after = step(before, Ask(user, request), self.store.now()).invitation
        assert after is not None
        assert await MemoryStore.commit(self.store, [Change(after, 0 if before is None else before.n)]) == [True]

    async def dismissed_elsewhere(self, user: str, request: DismissGroup) -> None:
        """Another process commits a dismissal, and dies."""
        view = (await MemoryStore.load_groups(self.store, {request.gid: [user]}))[request.gid].view
        made = group_step(view, user, request, self.store.now())
        assert view.group is not None
        assert made.view.group is not None
        changes = [GroupChange(made.view.group, view.group.n, made.changed)]
        assert await MemoryStore.commit_groups(self.store, changes) == [True]

    async def invitation(self, iid: str) -> Invitation:
        """As the store has it."""
        return (await MemoryStore.load(self.store, [iid]))[iid].invitation

    async def mark_of(self, iid: str) -> int:
        """Up to which version its events were handed over, as far as the store knows."""
        return (await MemoryStore.load(self.store, [iid]))[iid].mark


def events_of(pages: Iterable[Answer]) -> list[Event]:
    """The events of all pages."""
    return _read(raw for page in pages for raw in page.events)


def _read(raws: Iterable[object]) -> list[Event]:
    return [event for event in map(decode_event, raws) if isinstance(event, Event)]
