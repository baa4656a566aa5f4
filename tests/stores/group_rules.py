"""The rules of the random histories that are about groups; see test_random.py."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ringline_broker.engine.groups.model import Group, Person, Standing
from ringline_broker.service.ports import GroupChange, Mark, Store
from ringline_broker.stores.marks import Handed
from ringline_broker.stores.memory import MemoryStore
from tests.stores.made import NOW
from tests.stores.made_groups import dismissed, founded, later

T = TypeVar("T")
USERS: tuple[str, ...] = ("ann", "ben", "Ben", "é", "e\N{COMBINING ACUTE ACCENT}", "😀")
GIDS: tuple[str, ...] = ("g1", "G1", "ß", "\N{FULLWIDTH TILDE}", "\U0001f514")
gids = st.sampled_from(GIDS)
users = st.sampled_from(USERS)
_texts = st.sampled_from(("", "später", "x" * 400))
_keys = st.sampled_from(["k", "é", "l"])
_maps = st.dictionaries(_keys, st.sampled_from((b"", b"\0\xff", b"x" * 4_096)), max_size=2)


@st.composite
def _rows(draw: st.DrawFn) -> dict[str, Person | None]:
    """Rows that change: more come than go."""
    rows: dict[str, Person | None] = {}
    for user in draw(st.lists(users, max_size=4, unique=True)):
        standing = draw(st.sampled_from((Standing.MEMBER, Standing.MEMBER, *Standing, None)))
        since = NOW + draw(st.integers(0, 9))
        person = (since, draw(_texts), draw(_maps), since, draw(_texts))
        rows[user] = None if standing is None else Person(user, standing, *person)
    return rows


def straight(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing, as the model's are, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the model waits for something")


class BothStores(RuleBasedStateMachine):
    """The two stores that are compared.

    Attributes:
        newest: the time of the newest commit.
    """

    model: MemoryStore
    store: Store
    runner: asyncio.Runner
    newest: int

    def handed_of(self, _kind: str, _name: str, mark: int) -> Handed:
        """What a store that was opened now knows to be handed over of a record whose mark it shows."""
        return Handed(mark)  # it lost what was ahead

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


class GroupRules(BothStores):
    """The same calls about groups on both stores."""

    def __init__(self) -> None:
        super().__init__()
        # Of every group that is there: all its versions so far, and wherever its mark stood.
        self.group_versions: dict[str, list[Group]] = {}
        self.group_stood: dict[str, set[int]] = defaultdict(lambda: {0})

    def draw_groups(self, data: st.DataObject) -> tuple[list[GroupChange], list[bool]]:
        """Changes of what stands or, being late, of what stood before; and which must succeed."""
        batch: list[GroupChange] = []
        expected: list[bool] = []
        history = {gid: list(known) for gid, known in self.group_versions.items()}
        for _ in range(data.draw(st.integers(1, 4), "changes of groups")):
            gid = data.draw(gids, "gid")
            known = history.get(gid, [])
            late = data.draw(st.sampled_from((0, 0, 0, 0, 1, 2)), "late by")
            base = known[-1 - late] if late < len(known) else None
            if base is None:
                group = founded(gid, data.draw(users, "maker"), attributes=data.draw(_maps))
            else:
                group = later(base, name=data.draw(_texts), owner=data.draw(users, "owner"))
            if data.draw(st.integers(0, 7), "dismissed where 0") == 0:
                group = dismissed(group._replace(n=group.n - 1), self.model.now())
            batch.append(GroupChange(group, base.n if base else 0, data.draw(_rows(), "rows")))
            expected.append(base is (known[-1] if known else None))
            if expected[-1]:
                history.setdefault(gid, []).append(group)
        return batch, expected

    def keep_groups(self, batch: list[GroupChange], written: list[bool]) -> None:
        for change, done in zip(batch, written, strict=True):
            if done:
                self.group_versions.setdefault(change.group.gid, []).append(change.group)

    @rule(data=st.data())
    def commit_groups(self, data: st.DataObject) -> None:
        batch, expected = self.draw_groups(data)
        assert straight(self.model.commit_groups(batch)) == expected
        assert self.run(self.store.commit_groups(batch)) == expected
        self.keep_groups(batch, expected)
        self.newest = self.model.now()

    @rule(data=st.data())
    def commit_groups_at_once(self, data: st.DataObject) -> None:
        """Two calls share a transaction, and yet apply in the order of the calls."""
        drawn: list[list[GroupChange]] = []
        expected: list[list[bool]] = []
        for _ in range(2):
            batch, written = self.draw_groups(data)
            assert straight(self.model.commit_groups(batch)) == written
            self.keep_groups(batch, written)
            drawn.append(batch)
            expected.append(written)

        async def commit_both() -> list[list[bool]]:
            return await asyncio.gather(*(self.store.commit_groups(batch) for batch in drawn))

        assert self.run(commit_both()) == expected
        self.newest = self.model.now()

    @rule(data=st.data())
    def mark_groups(self, data: st.DataObject) -> None:
        marks: list[Mark] = []
        for _ in range(data.draw(st.integers(1, 4), "marks of groups")):
            gid = data.draw(gids, "gid")
            n = self.group_versions[gid][-1].n if gid in self.group_versions else 1
            since = data.draw(st.integers(0, n), "since")
            marks.append(Mark(gid, since, data.draw(st.integers(since, n), "to")))
        straight(self.model.mark_groups(marks))
        self.run(self.store.mark_groups(marks))
        for one in marks:  # also those that it passed through inside this call
            if one.iid in self.group_versions:
                self.group_stood[one.iid].add(one.to)

    @rule()
    def mark_all_groups(self) -> None:
        held = straight(self.model.load_groups(dict.fromkeys(GIDS, ())))
        marks = [Mark(gid, one.mark, self.group_versions[gid][-1].n) for gid, one in held.items()]
        straight(self.model.mark_groups(marks))
        self.run(self.store.mark_groups(marks))
        for one in marks:
            self.group_stood[one.iid].add(one.to)

    @rule(lease=st.sampled_from((0, 1, 1_000, 5_000)), limit=st.sampled_from((1, 2, 100)))
    def claim_unmarked_groups(self, lease: int, limit: int) -> None:
        claimed = straight(self.model.claim_unmarked_groups(lease, limit))
        assert self.run(self.store.claim_unmarked_groups(lease, limit)) == claimed

    def forget_purged_groups(self) -> None:
        left = straight(self.model.load_groups(dict.fromkeys(GIDS, ())))
        for gid in set(self.group_versions) - set(left):
            del self.group_versions[gid]
            self.group_stood.pop(gid, None)

    def check_restarted_groups(self) -> None:
        """Marks may have lost their last moves, which the model takes over; all else is compared as ever."""
        kept = self.run(self.store.load_groups(dict.fromkeys(GIDS, ())))
        for gid, held in straight(self.model.load_groups(dict.fromkeys(GIDS, ()))).items():
            assert gid in kept
            assert kept[gid].mark <= held.mark, "a mark never runs ahead"
            assert kept[gid].mark in self.group_stood[gid], "a mark stands only where it was put"
            self.model._groups_handed[gid] = self.handed_of("g", gid, kept[gid].mark)

    async def groups_seen_of(self, store: Store) -> dict[object, object]:
        seen: dict[object, object] = {"groups": await store.load_groups(dict.fromkeys(GIDS, USERS))}
        for gid in GIDS:
            for standing in Standing:
                seen["people", gid, standing] = await store.people(gid, standing, "", 100)
            seen["last members", gid] = await store.last_members(gid, "", 100)
            seen["last members page", gid] = await store.last_members(gid, "ann", 2)
            seen["people page", gid] = await store.people(gid, Standing.MEMBER, "ann", 2)
            seen["invitations", gid] = await store.of_group(gid, "", 100)
            seen["invitations page", gid] = await store.of_group(gid, "i1", 2)
        for user in USERS:
            seen["groups", user] = await store.groups_of(user, "", 100)
            seen["groups page", user] = await store.groups_of(user, "G1", 2)
        return seen
