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
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from ringline_broker.engine.model import Invitation
from ringline_broker.stores import group_record, record
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.child import AT_ONCE
from tests.stores.histories import Histories
from tests.stores.kinds import WITHIN_S, Held, Run
from tests.stores.made import NOW, first, rung
from tests.stores.processes import child, line_of, rest_of
from tests.stores.story import batches
from tests.support.turns import let_run


class SqliteHistories(Histories):
    """The same calls on both stores; what can be seen of them must be the same after each."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ringline-random-"))
        self.places = 0
        super().__init__()

    def open(self) -> SqliteStore:
        store = SqliteStore(self.folder / "ringline.sqlite", self.clock, "off")  # losing power is not played
        self.run(store._thread.run(_make_hard))
        return store

    @property
    def sqlite(self) -> SqliteStore:
        assert isinstance(self.store, SqliteStore)
        return self.store

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)

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
            before = asyncio.create_task(self.sqlite._thread.run(first_held))
            await asyncio.to_thread(first_held.begun.wait, WITHIN_S)
            commit = asyncio.create_task(self.store.commit([*batch, *filler]))
            of_groups = asyncio.create_task(self.store.commit_groups(groups))
            held = asyncio.create_task(self.sqlite._thread.run(last_held))
            await let_run()
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

    @invariant()
    def the_file_is_consistent(self) -> None:
        consistent(self.run(self.sqlite._thread.run(rows)))


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


TestHistories = pytest.mark.timeout(900)(SqliteHistories.TestCase)  # a failure takes minutes to be made small
TestHistories.settings = settings(max_examples=25, stateful_step_count=40)


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
