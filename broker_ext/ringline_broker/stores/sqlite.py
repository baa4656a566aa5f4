"""The embedded store: one sqlite file, one process, one thread that writes.

All calls that wait share one transaction (group commit), and none returns before that transaction is on disk.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ringline_broker.engine.model import Invitation
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Change, Clock, Held, Mark, StoreUnavailable
from ringline_broker.stores import migrate
from ringline_broker.stores.lock import FileLock
from ringline_broker.stores.record import decode, encode
from ringline_broker.stores.writer import WriterThread

_INSERT: Final = (
    "INSERT INTO invitation (iid, inviter, n, mark, due, ended, body) VALUES (?, ?, ?, 0, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    "UPDATE invitation SET inviter = ?, n = ?, due = ?, ended = ?, body = ? WHERE iid = ? AND n = ?"
)
_PARTY: Final = "INSERT OR IGNORE INTO party (user, iid) VALUES (?, ?)"
_MARK: Final = "UPDATE invitation SET mark = ? WHERE iid = ? AND mark = ?"
_CLAIM: Final = (
    "UPDATE invitation SET due = ? WHERE id IN "
    "(SELECT id FROM invitation WHERE due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?) RETURNING iid"
)
_OF_USER: Final = (
    "SELECT i.body FROM party p JOIN invitation i ON i.iid = p.iid WHERE p.user = ? AND p.iid > ? "
    "AND (i.ended IS NULL OR i.ended > ?) ORDER BY p.iid LIMIT ?"
)
_FORGET: Final = "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation WHERE ended < ? LIMIT ?) RETURNING iid, body"
_FOREVER: Final = 2**62
T = TypeVar("T")


class SqliteStore:
    """Keeps invitations in a sqlite file.

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
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        try:
            self._thread = WriterThread(lambda: _open(path, durability))
            newest = self._thread.call(_newest).result()
        except BaseException:
            self._lock.release()
            raise
        self._time = SteadyTime(clock, newest)
        self._marks: dict[str, list[Mark]] = {}

    def now(self) -> int:
        """Store time, epoch milliseconds."""
        return self._time.now()

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        """The invitations that exist, by id."""

        def read(db: sqlite3.Connection) -> list[tuple[bytes, int]]:
            one = "SELECT body, mark FROM invitation WHERE iid = ?"
            rows = (db.execute(one, (iid,)).fetchone() for iid in iids)
            return [row for row in rows if row is not None]

        rows = await self._thread.run(read)
        return {held.invitation.iid: held for held in map(self._held, rows)}

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write new versions where the expected one stands."""

        def write(db: sqlite3.Connection) -> list[bool]:
            return [_write(db, change) for change in changes]

        return await self._thread.run(self._with_marks(write))

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        """Claim what is due."""
        now = self.now()
        rows = await self._thread.run(lambda db: db.execute(_CLAIM, (now + lease_ms, now, limit)).fetchall())
        return [iid for (iid,) in rows]

    async def next_due(self) -> int | None:
        """When the next invitation is due."""
        sql = "SELECT min(due) FROM invitation WHERE due IS NOT NULL"
        (due,) = await self._thread.run(lambda db: db.execute(sql).fetchone())
        return int(due) if due is not None else None

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Remember marks; they are written with the next commit, since a mark may lag and costs no transaction so."""
        for mark in marks:
            self._marks.setdefault(mark.iid, []).append(mark)

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
        sql = "SELECT count(*) FROM invitation WHERE inviter = ? AND ended IS NULL"

        def read(db: sqlite3.Connection) -> dict[str, int]:
            return {user: db.execute(sql, (user,)).fetchone()[0] for user in users}

        return await self._thread.run(read)

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget what ended before."""

        def forget(db: sqlite3.Connection) -> int:
            rows = db.execute(_FORGET, (before_ms, limit)).fetchall()
            for iid, body in rows:
                parties = decode(body).parties
                db.executemany("DELETE FROM party WHERE user = ? AND iid = ?", [(user, iid) for user in parties])
            return len(rows)

        return await self._thread.run(forget)

    async def close(self) -> None:
        """Write the last marks and let go of the file."""
        try:
            await self._thread.run(self._with_marks(lambda _: None))
        finally:
            await self._thread.stop()
            self._lock.release()

    def _held(self, row: tuple[bytes, int]) -> Held:
        invitation = decode(row[0])
        mark = row[1]
        for waiting in self._marks.get(invitation.iid, ()):
            if waiting.since == mark:
                mark = waiting.to
        return Held(invitation, mark)

    def _with_marks(self, work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The same work, after the marks that wait."""
        marks, self._marks = self._marks, {}
        if not marks:
            return work

        def both(db: sqlite3.Connection) -> T:
            db.executemany(_MARK, [(mark.to, mark.iid, mark.since) for some in marks.values() for mark in some])
            return work(db)

        return both


def _open(path: Path, durability: str) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {durability.upper()}")
        migrate.apply(db)
    except sqlite3.Error as failed:
        raise StoreUnavailable(f"cannot open {path}: {failed}") from failed
    return db


def _newest(db: sqlite3.Connection) -> int:
    (ended,) = db.execute("SELECT max(ended) FROM invitation WHERE ended IS NOT NULL").fetchone()
    row = db.execute("SELECT body FROM invitation ORDER BY id DESC LIMIT 1").fetchone()
    return max(ended or 0, decode(row[0]).created if row else 0)


def _write(db: sqlite3.Connection, change: Change) -> bool:
    i = change.invitation
    if change.expected:
        done = db.execute(_UPDATE, (i.inviter, i.n, i.due, i.ended, encode(i), i.iid, change.expected))
    else:
        done = db.execute(_INSERT, (i.iid, i.inviter, i.n, i.due, i.ended, encode(i)))
    if done.rowcount != 1:
        return False
    if i.seats and i.events[0].n > change.expected:  # made by this change
        db.executemany(_PARTY, [(user, i.iid) for user in i.parties])
    return True
