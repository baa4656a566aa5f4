"""The blocklists of the sqlite store: one row a user and somebody on their list.

Who has a list at all is kept in memory, so that most invitations are made without asking the file.
"""

import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

from ringline_broker.stores.sqlite_base import SqliteBase

_COUNT: Final = "SELECT count(*) FROM blocklist WHERE user = ?"
_MASK: Final = "SELECT mask FROM blocklist WHERE user = ? AND blocked = ?"
_ADD: Final = "INSERT INTO blocklist (user, blocked, mask) VALUES (?, ?, ?)"
_REMOVE: Final = "DELETE FROM blocklist WHERE user = ? AND blocked = ?"
_PAGE: Final = "SELECT blocked FROM blocklist WHERE user = ? AND blocked > ? ORDER BY blocked LIMIT ?"


class SqliteBlocks(SqliteBase):
    """The part of SqliteStore that keeps blocklists."""

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        """Add to the user's list, where it does not become too long."""
        wanted = [(user, blocked, mask) for blocked, mask in masks.items()]

        def add(db: sqlite3.Connection) -> tuple[bool, int]:
            new = [row for row in wanted if db.execute(_MASK, row[:2]).fetchone() is None]
            count = _count(db, user)
            if new and count + len(new) > limit:
                return False, count
            db.executemany(_ADD, new)
            return True, count + len(new)

        done, _ = await self._thread.run(add, lambda result: self._count_is(user, result[1]))
        return done

    async def unblock(self, user: str, users: Collection[str]) -> None:
        """Take users off the list."""
        rows = [(user, blocked) for blocked in users]

        def remove(db: sqlite3.Connection) -> int:
            db.executemany(_REMOVE, rows)
            return _count(db, user)

        await self._thread.run(remove, lambda count: self._count_is(user, count))

    async def blocked(self, user: str, after: str, limit: int) -> list[str]:
        """Who is on the list, in byte order."""
        rows = await self._thread.run(lambda db: db.execute(_PAGE, (user, after, limit)).fetchall())
        return [blocked for (blocked,) in rows]

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Of these pairs, those of which the first has the second on their list, each with its mask."""
        self._check_open()
        asked = [pair for pair in pairs if pair[0] in self._blockers]
        if not asked:
            return {}

        def read(db: sqlite3.Connection) -> list[tuple[str] | None]:
            return [db.execute(_MASK, pair).fetchone() for pair in asked]

        rows = await self._thread.run(read)
        return {pair: row[0] for pair, row in zip(asked, rows, strict=True) if row is not None}

    def _count_is(self, user: str, count: int) -> None:
        if count:
            self._blockers.add(user)
        else:
            self._blockers.discard(user)


def _count(db: sqlite3.Connection, user: str) -> int:
    (count,) = db.execute(_COUNT, (user,)).fetchone()
    return int(count)
