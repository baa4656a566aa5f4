"""The embedded store: one sqlite file, one process, one thread that writes.

All calls that wait share one transaction (group commit), and none returns before that transaction is on disk.
"""

import contextlib
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ringline_broker.engine.model import Invitation
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Change, Clock, Held, Mark, StoreUnavailable, Usage
from ringline_broker.stores import migrate
from ringline_broker.stores.lock import FileLock
from ringline_broker.stores.marks import moved
from ringline_broker.stores.recent import Recent
from ringline_broker.stores.record import decode, encode, parties
from ringline_broker.stores.sqlite_base import MARK_INVITATION, Kept
from ringline_broker.stores.sqlite_blocks import SqliteBlocks
from ringline_broker.stores.sqlite_groups import DROP_LAST_MEMBERS, SqliteGroups
from ringline_broker.stores.unmarked import Row, Unmarked
from ringline_broker.stores.usage import UsageCounts, makes, replaces
from ringline_broker.stores.writer import WriterThread

_INSERT: Final = (
    "INSERT INTO invitation (iid, inviter, n, mark, due, ended, gid, size, body) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    "UPDATE invitation SET inviter = ?1, n = ?2, due = ?3, ended = ?4, gid = ?5, size = ?6, body = ?7, "
    "mark = CASE WHEN mark >= ?8 AND mark < ?9 THEN ?9 ELSE mark END WHERE iid = ?10 AND n = ?11"
)
_TOMBSTONE: Final = "SELECT inviter, size FROM invitation WHERE iid = ? AND n = ?"
_PARTY: Final = "INSERT OR IGNORE INTO party (user, iid) VALUES (?, ?)"
_DUE: Final = "SELECT id, iid FROM invitation WHERE due <= ? ORDER BY due, iid LIMIT ?"
_LEASE: Final = "UPDATE invitation SET due = ? WHERE id = ?"
_OF_USER: Final = (
    "SELECT i.body FROM party p JOIN invitation i ON i.iid = p.iid WHERE p.user = ? AND p.iid > ? "
    "AND (i.ended IS NULL OR i.ended > ?) ORDER BY p.iid LIMIT ?"
)
_OLD: Final = (
    "SELECT id, ended AS at, inviter AS user, size, iid, body FROM invitation WHERE ended < ? "
    "UNION ALL SELECT id, dismissed, maker, NULL, gid, NULL FROM grp WHERE dismissed < ? ORDER BY at LIMIT ?"
)
_USAGE: Final = (
    "SELECT inviter, sum(ended IS NULL), sum(size), 0 FROM invitation GROUP BY inviter "
    "UNION ALL SELECT maker, 0, 0, count(*) FROM grp GROUP BY maker"
)
_BLOCKERS: Final = "SELECT DISTINCT user FROM blocklist"
_LATE: Final = "SELECT iid, n, mark FROM invitation WHERE mark < n"
_LATE_GROUPS: Final = "SELECT gid, n, mark FROM grp WHERE mark < n"
_NO_MARK: Final = Mark("", -1, -1)
_FOREVER: Final = 2**62
_CACHE_KIB: Final = 65_536
"""Pages kept in memory, as far as there are so many; a busy server's index pages fit."""
_CHECKPOINT_PAGES: Final = 4_000
"""How long the write-ahead log grows before it is folded into the file; a page written often is folded once."""


class SqliteStore(SqliteGroups, SqliteBlocks):
    """Keeps invitations, groups and blocklists in a sqlite file.

    Args:
        path: the file; its folder is made where missing. A new one is its owner's alone, as sqlite's files beside it
            are then. A file beside it, with `.lock` added, is held while open.
        clock: where time comes from.
        durability: `full` (a commit survives power loss) or `normal` (it survives the process, and may not power loss).

    Raises:
        StoreInUse: another process has it open.
        StoreUnavailable: it cannot be opened, or was made by a newer version.
    """

    def __init__(self, path: Path, clock: Clock, durability: str = "full") -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as failed:
            raise StoreUnavailable(f"cannot make {path.parent}: {failed.strerror}") from failed
        self._lock = FileLock(path)
        try:
            db, newest, kept = _open(path, durability)
        except BaseException:
            self._lock.release()
            raise
        super().__init__(WriterThread(db), SteadyTime(clock, newest), kept)
        self._recent = Recent()

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        """The invitations that exist, by id."""
        self._check_open()
        found = self._recent.get(iids)
        others = [iid for iid in iids if iid not in found]

        def read(db: sqlite3.Connection) -> list[tuple[bytes, int]]:
            one = "SELECT body, mark FROM invitation WHERE iid = ?"
            rows = (db.execute(one, (iid,)).fetchone() for iid in others)
            return [row for row in rows if row is not None]

        if others:
            rows = await self._thread.run(read)
            found |= self._recent.get(found)  # marks have moved meanwhile, and nobody else knows of it any more
            found |= {held.invitation.iid: held for held in map(self._held, rows)}
        return found

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write new versions where the expected one stands."""
        now = self.now()
        # Some marks that wait are of what is written here; one statement does both.
        marked = [(change, self._marks.take(change.invitation.iid) if change.expected else None) for change in changes]

        def write(db: sqlite3.Connection) -> _Written:
            db.execute("UPDATE clock SET ms = ?", (now,))
            left: list[tuple[str, int]] = []
            written = [_write(db, change, mark, left) for change, mark in marked]
            made = [change.invitation for change, done in zip(changes, written, strict=True) if done and makes(change)]
            db.executemany(_PARTY, [(user, one.iid) for one in made for user in one.parties])
            return _Written(written, left)

        def note(result: _Written) -> None:
            self._recent.committed(changes, result.done)
            self._usage.committed(changes, result.done)
            for (one, expected, _), done in zip(changes, result.done, strict=True):
                if done:
                    self._late.committed(one.iid, expected, one.n, now)
            for user, size in result.left:
                self._usage.add(user, size=-size)

        try:
            return (await self._thread.run(self._with_marks(write), note)).done
        except BaseException:  # cancelled, it may have been written all the same
            self._recent.forget([change.invitation.iid for change in changes])
            raise

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        """Claim what is due."""
        now = self.now()

        def claim(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(_DUE, (now, limit)).fetchall()
            db.executemany(_LEASE, [(now + lease_ms, row) for row, _ in rows])
            return [iid for _, iid in rows]

        return await self._thread.run(claim)

    async def next_due(self) -> int | None:
        """When the next invitation is due."""
        sql = "SELECT min(due) FROM invitation WHERE due IS NOT NULL"
        (due,) = await self._thread.run(lambda db: db.execute(sql).fetchone())
        return int(due) if due is not None else None

    async def count_open(self) -> int:
        """How many invitations are open."""
        self._check_open()
        return self._usage.open

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Remember marks; they are written with the next commit, since a mark may lag and costs no transaction so."""
        self._check_open()
        moved = self._late.marked(marks)
        self._recent.marked(moved)
        self._marks.add(moved)

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        """Claim invitations with events that may not have been handed over."""
        self._check_open()
        claimed = self._late.claim(self.now(), lease_ms, limit)
        held = await self.load(claimed) if claimed else {}
        return [held[iid] for iid in claimed if iid in held]

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        """Invitations of a user, by id in byte order."""
        values = (user, after, _FOREVER if since_ms is None else since_ms, limit)
        rows = await self._thread.run(lambda db: db.execute(_OF_USER, values).fetchall())
        return [decode(body) for (body,) in rows]

    async def usage(self, users: Collection[str]) -> Mapping[str, Usage]:
        """What each user takes."""
        self._check_open()
        return self._usage.of(users)

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget what ended before."""

        def forget(db: sqlite3.Connection) -> _Purged:
            gone = _Purged([], [])
            old: list[tuple[int]] = []
            told: list[tuple[str, str]] = []
            groups: list[tuple[int]] = []
            for row, _, user, size, name, body in db.execute(_OLD, (before_ms, before_ms, limit)):
                if body is None:
                    groups.append((row,))
                    gone.groups.append((name, user))
                else:
                    old.append((row,))
                    gone.invitations.append((name, user, size))
                    told.extend((party, name) for party in parties(body))
            db.executemany("DELETE FROM invitation WHERE id = ?", old)
            db.executemany("DELETE FROM party WHERE user = ? AND iid = ?", told)
            db.executemany("DELETE FROM grp WHERE id = ?", groups)  # its people went when it was dismissed
            db.executemany(DROP_LAST_MEMBERS, [(gid,) for gid, _ in gone.groups])
            return gone

        def note(gone: _Purged) -> None:
            self._recent.forget([iid for iid, _, _ in gone.invitations])
            self._late.forget(iid for iid, _, _ in gone.invitations)
            self._late_groups.forget(gid for gid, _ in gone.groups)
            for _, inviter, size in gone.invitations:
                self._usage.add(inviter, size=-size)
            for _, maker in gone.groups:
                self._usage.add(maker, groups=-1)

        gone = await self._thread.run(forget, note)
        return len(gone.invitations) + len(gone.groups)

    async def close(self) -> None:
        """Write the last marks and let go of the file."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(StoreUnavailable):  # marks may lag
                await self._thread.run(self._with_marks(lambda _: None))
        await self._thread.stop()
        self._lock.release()

    def _held(self, row: tuple[bytes, int]) -> Held:
        invitation = decode(row[0])
        return Held(invitation, moved(row[1], self._marks.of(invitation.iid)))


class _Written(NamedTuple):
    """Of each change whether it was written; and of each tombstone that was replaced, whose it was and its size."""

    done: list[bool]
    left: list[tuple[str, int]]


class _Purged(NamedTuple):
    """Of each invitation its id, inviter and size; of each group its id and maker."""

    invitations: list[tuple[str, str, int]]
    groups: list[tuple[str, str]]


def _open(path: Path, durability: str) -> tuple[sqlite3.Connection, int, Kept]:
    """A connection, with the schema up to date; the time of the newest commit; what is kept in memory too."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # sqlite would leave the mode to the umask
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as failed:
        raise StoreUnavailable(f"cannot open {path}: {failed}") from failed
    try:
        (journal,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal != "wal":
            raise StoreUnavailable(f"cannot open {path}: sqlite cannot keep a write-ahead log there")
        db.execute(f"PRAGMA synchronous = {durability.upper()}")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        migrate.apply(db)
        (newest,) = db.execute("SELECT ms FROM clock").fetchone()
        late, late_groups = (Unmarked(Row(*row) for row in db.execute(sql)) for sql in (_LATE, _LATE_GROUPS))
        kept = Kept(UsageCounts(), {user for (user,) in db.execute(_BLOCKERS)}, late, late_groups)
        for row in db.execute(_USAGE):
            kept.usage.add(*row)
    except BaseException as failed:
        db.close()
        if isinstance(failed, sqlite3.Error):
            raise StoreUnavailable(f"cannot open {path}: {failed}") from failed
        raise
    return db, newest, kept


def _write(db: sqlite3.Connection, change: Change, mark: Mark | None, left: list[tuple[str, int]]) -> bool:
    """Whether it was written; the mark moves in any case. What it takes the place of, where that is a tombstone, is
    added to `left`.
    """
    i = change.invitation
    if not change.expected:
        done = db.execute(_INSERT, (i.iid, i.inviter, i.n, i.due, i.ended, i.gid, i.size, encode(i)))
        return done.rowcount == 1
    if replaces(change):
        left.extend(db.execute(_TOMBSTONE, (i.iid, change.expected)))
    _, since, to = mark or _NO_MARK
    row = (i.inviter, i.n, i.due, i.ended, i.gid, i.size, encode(i), since, to, i.iid, change.expected)
    written = db.execute(_UPDATE, row).rowcount == 1
    if mark is not None and not written:
        db.execute(MARK_INVITATION, mark)
    return written
