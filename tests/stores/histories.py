"""Random histories that hold a store against the reference model, whatever kind it is."""

import asyncio
from collections import defaultdict
from typing import ClassVar

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from ringline.protocol.requests import Invite, OnInvitation
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, Busy, Command, Deadline, NobodyOnline, step
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Change, Mark, Store
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock
from tests.stores.block_rules import BlockRules
from tests.stores.group_rules import GIDS, USERS, GroupRules, straight, users
from tests.stores.made import NOW
from tests.stores.usage import added_up
from tests.unit.engine.play import accept, cancel, invite, modify, reject

IIDS = ("i1", "i2", "I2", "ß", "\N{FULLWIDTH TILDE}", "\U0001f514")
OPS = ("invite", "accept", "reject", "cancel", "modify", "due", "offline")
DATA = st.sampled_from((b"", b"\0\xff", b"x" * 3_000, b"y" * 8_192))

PASSING = st.sampled_from((5_000, 0, 1, 999, 1_000, 40_000, 90_000_000))

iids = st.sampled_from(IIDS)
some_users = st.lists(users, min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def commands(draw: st.DrawFn, iid: str, base: Invitation | None) -> Command:
    """Something to ask of this invitation: mostly what makes sense, by who may ask it; else anything by anybody."""
    sensible = draw(st.integers(0, 5)) > 0
    if base is None or base.end is not None:
        likely = st.sampled_from(("invite", "invite", "invite", "cancel"))
    else:
        likely = st.sampled_from(("accept", "accept", "reject", "cancel", "modify", "due", "offline"))
    match draw(likely if sensible else st.sampled_from(OPS)):
        case "due":
            return Deadline(iid)
        case "offline":
            return NobodyOnline(iid)
        case "accept" | "reject" as op if base is not None and base.pending and sensible:
            return Ask(draw(st.sampled_from(base.pending)), draw(_requests(op, iid)))
        case "cancel" | "modify" as op if base is not None and sensible:
            return Ask(base.inviter, draw(_requests(op, iid)))
        case op:
            request = draw(_requests(op, iid))
            refusing = draw(st.sets(st.sampled_from(request.to), max_size=2)) if isinstance(request, Invite) else ()
            return Ask(draw(users), request, tuple(Busy(user, "mask", b"8 bytes!") for user in sorted(refusing)))


def _requests(op: str, iid: str) -> st.SearchStrategy[OnInvitation]:
    match op:
        case "invite":
            timeouts = st.sampled_from((1, 5, 0, 30))
            answers = st.sampled_from((None, 1, 0, 2))
            audiences = st.sampled_from(("", "parties"))
            return st.builds(
                lambda to, timeout, answers, audience, data: invite(
                    *to, iid=iid, timeout=timeout, answers=answers, audience=audience, data=data
                ),
                some_users, timeouts, answers, audiences, DATA,
            )  # fmt: skip
        case "accept":
            return DATA.map(lambda data: accept(iid=iid, data=data))
        case "reject":
            return DATA.map(lambda data: reject(iid=iid, data=data, reason="busy", text="später"))
        case "cancel":
            return st.one_of(st.just(()), some_users).map(lambda to: cancel(*to, iid=iid))
        case _:
            return DATA.map(lambda data: modify(data, iid=iid))


class Histories(GroupRules, BlockRules):
    """The same calls on both stores; what can be seen of them must be the same after each."""

    owns_its_store: ClassVar[bool] = True
    """Whether what is unmarked when it is opened can be nobody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock(NOW)
        self.model = MemoryStore(self.clock)
        self.store = self.open()
        self.newest = 0
        # Of every id that is there: all its versions so far, and wherever its mark stood.
        self.versions: dict[str, list[Invitation]] = {}
        self.stood: dict[str, set[int]] = defaultdict(lambda: {0})

    def open(self) -> Store:
        """The store, with what it has kept."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    # what is done to both

    def draw_batch(self, data: st.DataObject) -> tuple[list[Change], list[bool]]:
        """Changes that the engine makes of what stands or, being late, of what stood before; and which must succeed."""
        batch: list[Change] = []
        expected: list[bool] = []
        history = {iid: list(known) for iid, known in self.versions.items()}
        for _ in range(data.draw(st.integers(1, 4), "changes")):
            iid = data.draw(iids, "iid")
            known = history.get(iid, [])
            late = data.draw(st.sampled_from((0, 0, 0, 0, 1, 2)), "late by")
            base = known[-1 - late] if late < len(known) else None
            made = step(base, data.draw(commands(iid, base), "command"), self.model.now()).invitation
            if made is None or made is base:
                continue
            if base is None or base.is_tombstone:
                made = made._replace(gid=data.draw(st.sampled_from(("", *GIDS)), "gid"))
            batch.append(Change(made, base.n, base.size) if base else Change(made, 0))
            expected.append(base is (known[-1] if known else None))
            if expected[-1]:
                history.setdefault(iid, []).append(made)
        return batch, expected

    def keep(self, batch: list[Change], written: list[bool]) -> None:
        for change, done in zip(batch, written, strict=True):
            if done:
                self.versions.setdefault(change.invitation.iid, []).append(change.invitation)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.commit(data)

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        batch, expected = self.draw_batch(data)
        assert straight(self.model.commit(batch)) == expected
        assert self.run(self.store.commit(batch)) == expected
        self.keep(batch, expected)
        self.newest = self.model.now()

    @rule(data=st.data(), count=st.integers(2, 4))
    def commit_at_once(self, data: st.DataObject, count: int) -> None:
        """Several calls share transactions, and yet apply in the order of the calls."""
        drawn: list[list[Change]] = []
        expected: list[list[bool]] = []
        for _ in range(count):
            batch, written = self.draw_batch(data)
            assert straight(self.model.commit(batch)) == written
            self.keep(batch, written)
            drawn.append(batch)
            expected.append(written)

        async def commit_all() -> list[list[bool]]:
            return await asyncio.gather(*(self.store.commit(batch) for batch in drawn))

        assert self.run(commit_all()) == expected
        self.newest = self.model.now()

    @rule(after=PASSING, lease=st.sampled_from((1, 1_000, 5_000)), limit=st.sampled_from((2, 1, 100)))
    def claim(self, after: int, lease: int, limit: int) -> None:
        self.clock.advance(after)
        claimed = straight(self.model.claim_due(lease, limit))
        event(f"claimed {len(claimed)}")
        assert self.run(self.store.claim_due(lease, limit)) == claimed

    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        marks: list[Mark] = []
        for _ in range(data.draw(st.integers(1, 4), "marks")):
            iid = data.draw(iids, "iid")
            n = self.versions[iid][-1].n if iid in self.versions else 1
            since = data.draw(st.integers(0, n), "since")
            marks.append(Mark(iid, since, data.draw(st.integers(since, n), "to")))
        straight(self.model.mark(marks))
        self.run(self.store.mark(marks))
        for iid, known in straight(self.model.load(IIDS)).items():
            self.stood[iid].add(known.mark)
        for one in marks:  # those that it passed through inside this call
            if one.iid in self.versions:
                self.stood[one.iid].add(one.to)

    @rule()
    def mark_all(self) -> None:
        marks = [Mark(iid, held.mark, held.invitation.n) for iid, held in straight(self.model.load(IIDS)).items()]
        straight(self.model.mark(marks))
        self.run(self.store.mark(marks))
        for one in marks:
            self.stood[one.iid].add(one.to)

    @rule(after=PASSING, lease=st.sampled_from((0, 1, 1_000, 5_000)), limit=st.sampled_from((1, 2, 100)))
    def claim_unmarked(self, after: int, lease: int, limit: int) -> None:
        self.clock.advance(after)
        claimed = straight(self.model.claim_unmarked(lease, limit))
        event("claimed some unmarked" if claimed else "claimed none unmarked")
        assert self.run(self.store.claim_unmarked(lease, limit)) == claimed

    @rule(after=PASSING, ago=st.sampled_from((0, 1, 2_000)), limit=st.sampled_from((2, 1, 100)))
    def purge(self, after: int, ago: int, limit: int) -> None:
        self.clock.advance(after)
        before = self.model.now() - ago
        gone = straight(self.model.purge(before, limit))
        event("purged some" if gone else "purged none")
        assert self.run(self.store.purge(before, limit)) == gone
        left = straight(self.model.load(IIDS))
        for iid in set(self.versions) - set(left):
            del self.versions[iid]
            self.stood.pop(iid, None)
        self.forget_purged_groups()

    @rule(ms=PASSING)
    def advance(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(wall=st.sampled_from((0, NOW - 5_000, NOW, NOW + 2_000, NOW + 31_536_000_000)))
    def set_the_machines_clock(self, wall: int) -> None:
        self.clock.set_wall(wall)

    # restarts

    @rule()
    def close_and_open(self) -> None:
        self.run(self.store.close())
        self.store = self.open()
        assert self.run(self.store.load(IIDS)) == straight(self.model.load(IIDS)), "closing writes the last marks"
        of_groups = dict.fromkeys(GIDS, USERS)
        assert self.run(self.store.load_groups(of_groups)) == straight(self.model.load_groups(of_groups)), "likewise"
        self.check_restarted()

    def check_restarted(self) -> None:
        """Time goes on from the later of the machine's clock and the newest time in the store. Marks may have lost
        their last moves, and nothing else may differ: the model takes over both."""
        self.newest = self.newest_written()
        assert self.store.now() == max(self.clock.wall_ms(), self.newest)
        self.model._time = self.time()
        kept = self.run(self.store.load(IIDS))
        for iid, held in straight(self.model.load(IIDS)).items():
            assert iid in kept
            assert kept[iid].mark <= held.mark, "a mark never runs ahead"
            assert kept[iid].mark in self.stood[iid], "a mark stands only where it was put"
            self.model._handed[iid] = self.handed_of("i", iid, kept[iid].mark)
        self.check_restarted_groups()
        if self.owns_its_store:
            self.model._left = dict.fromkeys(self.model._left, 0)
            self.model._groups_left = dict.fromkeys(self.model._groups_left, 0)

    def newest_written(self) -> int:
        """The newest time in the store: that of the newest commit."""
        return self.newest

    def time(self) -> SteadyTime:
        """The time of a store that was opened now."""
        return SteadyTime(self.clock, self.newest)

    # what can be seen

    @invariant()
    def both_look_the_same(self) -> None:
        expected = straight(self.seen_of(self.model))
        seen = self.run(self.seen_of(self.store))
        for question, answer in expected.items():
            assert seen[question] == answer, question

    async def seen_of(self, store: Store) -> dict[object, object]:
        seen: dict[object, object] = {"now": store.now(), "load": await store.load(IIDS), "due": await store.next_due()}
        seen["usage"] = await store.usage(USERS)
        for user in USERS:
            seen["all", user] = await store.of_user(user, 0, "", 100)
            seen["open", user] = await store.of_user(user, None, "", 100)
            seen["page", user] = await store.of_user(user, self.model.now() - 1_000, "i1", 2)
        return seen | await self.groups_seen_of(store) | await self.blocks_seen_of(store)

    @invariant()
    def usage_adds_up(self) -> None:
        groups = [versions[-1] for versions in self.group_versions.values()]
        expected = added_up([versions[-1] for versions in self.versions.values()], groups)
        assert self.run(self.store.usage(USERS)) == expected
