"""The embedded store: one sqlite file, one process, one thread that writes.

All calls that wait share one transaction (group commit), and none returns before that transaction is on disk.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from ringline_broker.engine.model import Invitation
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Change, Clock, Held, Mark, StoreUnavailable
from ringline_broker.stores import migrate
from ringline_broker.stores.lock import FileLock
from ringline_broker.stores.marks import moved
from ringline_broker.stores.recent import OpenCounts, Recent, makes
from ringline_broker.stores.record import decode, encode, parties
from ringline_broker.stores.sqlite_groups import SqliteGroups
from ringline_broker.stores.writer import WriterThread

_INSERT: Final = (
    "INSERT INTO invitation (iid, inviter, n, mark, due, ended, gid, body) VALUES (?, ?, ?, 0, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    "UPDATE invitation SET inviter = ?, n = ?, due = ?, ended = ?, gid = ?, body = ? WHERE iid = ? AND n = ?"
)
_PARTY: Final = "INSERT OR IGNORE INTO party (user, iid) VALUES (?, ?)"
_DUE: Final = "SELECT id, iid FROM invitation WHERE due <= ? ORDER BY due, iid LIMIT ?"
_LEASE: Final = "UPDATE invitation SET due = ? WHERE id = ?"
_OF_USER: Final = (
    "SELECT i.body FROM party p JOIN invitation i ON i.iid = p.iid WHERE p.user = ? AND p.iid > ? "
    "AND (i.ended IS NULL OR i.ended > ?) ORDER BY p.iid LIMIT ?"
)
_OLD: Final = (
    "SELECT id, ended AS at, iid, body FROM invitation WHERE ended < ? "
    "UNION ALL SELECT id, dismissed, NULL, NULL FROM grp WHERE dismissed < ? ORDER BY at LIMIT ?"
)
_OPEN: Final = "SELECT inviter, count(*) FROM invitation WHERE ended IS NULL GROUP BY inviter"
_FOREVER: Final = 2**62
_CACHE_KIB: Final = 65_536
"""Pages kept in memory, as far as there are so many; a busy server's index pages fit."""
_CHECKPOINT_PAGES: Final = 4_000
"""How long the write-ahead log grows before it is folded into the file; a page written often is folded once."""


class SqliteStore(SqliteGroups):
    """Keeps invitations and groups in a sqlite file.

    Args:
        path: the file; its folder is made where missing. A file beside it, with `.lock` added, is held while open.
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
            db, newest, counts = _open(path, durability)
        except BaseException:
            self._lock.release()
            raise
        super().__init__(WriterThread(db), SteadyTime(clock, newest))
        self._recent = Recent()
        self._open = OpenCounts(counts)

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

        def write(db: sqlite3.Connection) -> list[bool]:
            db.execute("UPDATE clock SET ms = ?", (now,))
            written = [_write(db, change) for change in changes]
            made = [change.invitation for change, done in zip(changes, written, strict=True) if done and makes(change)]
            db.executemany(_PARTY, [(user, one.iid) for one in made for user in one.parties])
            return written

        try:
            written = await self._thread.run(self._with_marks(write))
        except BaseException:  # cancelled, it may have been written all the same
            self._recent.forget([change.invitation.iid for change in changes])
            raise
        self._recent.committed(changes, written)
        self._open.committed(changes, written)
        return written

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

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Remember marks; they are written with the next commit, since a mark may lag and costs no transaction so."""
        self._check_open()
        self._recent.marked(marks)
        self._marks.add(marks)

    async def unmarked(self, limit: int) -> list[Held]:
        """Invitations with events that may not have been handed over."""
        sql = "SELECT body, mark FROM invitation WHERE mark < n LIMIT ?"
        rows = await self._thread.run(self._with_marks(lambda db: db.execute(sql, (limit,)).fetchall()))
        return [self._held(row) for row in rows]

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        """Invitations of a user, by id in byte order."""
        values = (user, after, _FOREVER if since_ms is None else since_ms, limit)
        rows = await self._thread.run(lambda db: db.execute(_OF_USER, values).fetchall())
        return [decode(body) for (body,) in rows]

    async def open_counts(self, users: Collection[str]) -> Mapping[str, int]:
        """How many open invitations each user is the inviter of."""
        self._check_open()
        return self._open.of(users)

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget what ended before."""

        def forget(db: sqlite3.Connection) -> tuple[list[str], int]:
            old: list[tuple[int]] = []
            groups: list[tuple[int]] = []
            iids: list[str] = []
            told: list[tuple[str, str]] = []
            for row, _, iid, body in db.execute(_OLD, (before_ms, before_ms, limit)):
                if iid is None:
                    groups.append((row,))
                else:
                    old.append((row,))
                    iids.append(iid)
                    told.extend((user, iid) for user in parties(body))
            db.executemany("DELETE FROM invitation WHERE id = ?", old)
            db.executemany("DELETE FROM party WHERE user = ? AND iid = ?", told)
            db.executemany("DELETE FROM grp WHERE id = ?", groups)  # its people went when it was dismissed
            return iids, len(groups)

        gone, groups = await self._thread.run(forget)
        self._recent.forget(gone)
        return len(gone) + groups

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


def _open(path: Path, durability: str) -> tuple[sqlite3.Connection, int, dict[str, int]]:
    """A connection, with the schema up to date; the time of the newest commit; how many each user has open."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as failed:
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
        counts: dict[str, int] = dict(db.execute(_OPEN))
    except BaseException as failed:
        db.close()
        if isinstance(failed, sqlite3.Error):
            raise StoreUnavailable(f"cannot open {path}: {failed}") from failed
        raise
    return db, newest, counts


def _write(db: sqlite3.Connection, change: Change) -> bool:
    i = change.invitation
    if change.expected:
        done = db.execute(_UPDATE, (i.inviter, i.n, i.due, i.ended, i.gid, encode(i), i.iid, change.expected))
    else:
        done = db.execute(_INSERT, (i.iid, i.inviter, i.n, i.due, i.ended, i.gid, encode(i)))
    return done.rowcount == 1
