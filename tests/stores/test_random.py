"""Random histories hold the sqlite store against the reference model, through restarts and crashes.

A restart is the store closed and opened again, or a copy of its files taken from under a running transaction, opened in
place of the original; below, it is also a real process killed at a random moment.
"""

import asyncio
import random
import secrets
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from ringline.protocol.messages import Invite, OnInvitation
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, Busy, Command, Deadline, NobodyOnline, step
from ringline_broker.service.ports import Change, Mark, Store
from ringline_broker.stores import group_record, record
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.block_rules import BlockRules
from tests.stores.child import AT_ONCE
from tests.stores.group_rules import GIDS, USERS, GroupRules, straight, users
from tests.stores.kinds import WITHIN_S, Held, Run, turn
from tests.stores.made import NOW, first, rung
from tests.stores.processes import child, line_of, rest_of
from tests.stores.story import batches
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

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="ringline-random-"))
        self.places = 0
        self.clock = ManualClock(NOW)
        self.model = MemoryStore(self.clock)
        self.store = self.open()
        self.newest = 0
        # Of every id that is there: all its versions so far, and wherever its mark stood.
        self.versions: dict[str, list[Invitation]] = {}
        self.stood: dict[str, set[int]] = defaultdict(lambda: {0})

    def open(self) -> SqliteStore:
        store = SqliteStore(self.folder / "ringline.sqlite", self.clock, "off")  # losing power is not played
        self.run(store._thread.run(_make_hard))
        return store

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

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

    @rule(limit=st.sampled_from((1, 2, 100)))
    def unmarked(self, limit: int) -> None:
        assert self.run(self.store.unmarked(limit)) == straight(self.model.unmarked(limit))

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

    @rule()
    def crash_between_commits(self) -> None:
        copy = self.copy()
        self.replace_by(copy)

    @rule(data=st.data())
    def crash_in_a_transaction(self, data: st.DataObject) -> None:
        """The transaction in which the copy is taken is not answered, so nothing of it may be there."""
        batch, _ = self.draw_batch(data)
        groups, _ = self.draw_groups(data)
        filler = [first(rung(f"filler {at}", data=secrets.token_bytes(8_000))) for at in range(3)]
        first_held, last_held = Held(), Held()

        async def crash() -> Path:
            # All in one transaction: the thread is held in the one before until they wait.
            before = asyncio.create_task(self.store._thread.run(first_held))
            await asyncio.to_thread(first_held.begun.wait, WITHIN_S)
            commit = asyncio.create_task(self.store.commit([*batch, *filler]))
            of_groups = asyncio.create_task(self.store.commit_groups(groups))
            held = asyncio.create_task(self.store._thread.run(last_held))
            await turn()
            first_held.let_go()
            await asyncio.to_thread(last_held.begun.wait, WITHIN_S)
            await before
            assert not commit.done()
            assert not of_groups.done()
            copy = await asyncio.to_thread(self.copy)
            last_held.let_go()
            await asyncio.gather(commit, of_groups, held)
            return copy

        self.replace_by(self.run(crash()))
        assert self.run(self.store.load([change.invitation.iid for change in filler])) == {}

    def copy(self) -> Path:
        """What is in the files at this moment."""
        self.places += 1
        copy = self.folder / f"copy-{self.places}"
        copy.mkdir()
        for file in self.folder.glob("ringline.sqlite*"):
            shutil.copy(file, copy)
        return copy

    def replace_by(self, copy: Path) -> None:
        """Opens the copy in place of the original, as after a crash."""
        self.run(self.store.close())
        for file in self.folder.glob("ringline.sqlite*"):
            file.unlink()
        for file in copy.iterdir():
            file.rename(self.folder / file.name)
        self.store = self.open()
        self.check_restarted()

    def check_restarted(self) -> None:
        """Time goes on from the later of the machine's clock and the newest commit. Marks may have lost their last
        moves, and nothing else may differ: the model takes over both."""
        assert self.store.now() == max(self.clock.wall_ms(), self.newest)
        self.model._time = self.store._time
        kept = self.run(self.store.load(IIDS))
        for iid, held in straight(self.model.load(IIDS)).items():
            assert iid in kept
            assert kept[iid].mark <= held.mark, "a mark never runs ahead"
            assert kept[iid].mark in self.stood[iid], "a mark stands only where it was put"
            self.model._marks[iid] = kept[iid].mark
        self.check_restarted_groups()

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

    @invariant()
    def the_file_is_consistent(self) -> None:
        consistent(self.run(self.store._thread.run(rows)))


def _make_hard(db: sqlite3.Connection) -> None:
    """Checkpoints often, and pages written before the commit: what a crash finds half done."""
    for pragma in ("wal_autocheckpoint = 8", "cache_size = 4"):
        db.execute(f"PRAGMA {pragma}").fetchall()


class Rows(NamedTuple):
    """Everything in the file, and what sqlite says of it."""

    invitations: list[tuple[Any, ...]]
    parties: list[tuple[str, str]]
    groups: list[tuple[Any, ...]]
    people: list[tuple[Any, ...]]
    integrity: str


def rows(db: sqlite3.Connection) -> Rows:
    return Rows(
        db.execute("SELECT iid, inviter, n, ended, gid, size, body FROM invitation").fetchall(),
        db.execute("SELECT user, iid FROM party").fetchall(),
        db.execute("SELECT gid, n, dismissed, maker, body FROM grp").fetchall(),
        db.execute("SELECT gid, user, standing, body FROM person").fetchall(),
        db.execute("PRAGMA integrity_check").fetchone()[0],
    )


def consistent(found: Rows) -> None:
    """Columns and parties say what the bodies say, and no more; people are in groups that stand."""
    assert found.integrity == "ok"
    expected: set[tuple[str, str]] = set()
    for iid, *columns, body in found.invitations:
        invitation = record.decode(body)
        assert iid == invitation.iid
        assert columns == [invitation.inviter, invitation.n, invitation.ended, invitation.gid, invitation.size]
        if not invitation.is_tombstone:
            expected |= {(user, iid) for user in invitation.parties}
    assert len(found.parties) == len(expected)
    assert set(found.parties) == expected
    groups = [(*columns, group_record.decode_group(body)) for *columns, body in found.groups]
    assert all(columns == [one.gid, one.n, one.dismissed, one.maker] for *columns, one in groups)
    standing_groups = {one.gid for *_, one in groups if one.dismissed is None}
    for gid, user, standing, body in found.people:
        person = group_record.decode_person(body)
        assert (user, standing) == (person.user, person.standing)
        assert gid in standing_groups


TestHistories = pytest.mark.timeout(900)(Histories.TestCase)  # a failure takes minutes to be made small
TestHistories.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("attempt", range(5))
def test_a_killed_process_has_kept_all_it_answered_and_no_half_batch(tmp_path: Path, run: Run, attempt: int) -> None:
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    print(f"attempt {attempt}, seed {seed}")  # noqa: T201 - to repeat it
    path = tmp_path / "ringline.sqlite"
    with child("story", path, seed) as process:
        answered = [int(line_of(process)) for _ in range(chance.randint(1, 200))]
        process.kill()
        answered += [int(line) for line in rest_of(process)]
    store = SqliteStore(path, ManualClock(NOW))
    found = run(store._thread.run(rows))
    run(store.close())
    consistent(found)

    kept = {iid: record.decode(body) for iid, *_, body in found.invitations}
    expected: dict[str, Invitation] = {}
    story = batches(seed)
    # Some calls were under way: of the batches after the answered ones a few may be there, each whole and in order.
    number = 0
    while number <= max(answered) or (kept != expected and number <= max(answered) + 2 * AT_ONCE):
        expected |= {change.invitation.iid: change.invitation for change in next(story)}
        number += 1
    print(f"{len(answered)} batches answered, {number} kept")  # noqa: T201 - says that it was in the middle of things
    assert kept == expected
