"""The groups of the sqlite store: one row a group, and beside it one row a person."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ringline_broker.engine.groups.model import Group, GroupView, Person, Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import GroupChange, HeldGroup, Mark
from ringline_broker.stores.group_record import decode_group, decode_person, encode_group, encode_person
from ringline_broker.stores.marks import moved
from ringline_broker.stores.record import decode
from ringline_broker.stores.sqlite_base import SqliteBase

_INSERT: Final = (
    "INSERT INTO grp (gid, n, mark, dismissed, maker, body) VALUES (?, ?, 0, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_UPDATE: Final = "UPDATE grp SET n = ?, dismissed = ?, body = ? WHERE gid = ? AND n = ?"
_PUT: Final = (
    "INSERT INTO person (gid, user, standing, body) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET standing = excluded.standing, body = excluded.body"
)
_DROP: Final = "DELETE FROM person WHERE gid = ? AND user = ?"
_DROP_ALL: Final = "DELETE FROM person WHERE gid = ?"
_KEEP_MEMBERS: Final = "INSERT INTO last_member SELECT gid, user FROM person WHERE gid = ? AND standing = 'member'"
DROP_LAST_MEMBERS: Final = "DELETE FROM last_member WHERE gid = ?"
"""What is kept of the people of a dismissed group; its parameter is the group's id."""
_LAST_MEMBERS: Final = "SELECT user FROM last_member WHERE gid = ? AND user > ? ORDER BY user LIMIT ?"
_GROUP: Final = "SELECT body, mark FROM grp WHERE gid = ?"
_PERSON: Final = "SELECT body FROM person WHERE gid = ? AND user = ?"
_PEOPLE: Final = "SELECT body FROM person WHERE gid = ? AND standing = ? AND user > ? ORDER BY user LIMIT ?"
_GROUPS_OF: Final = (
    "SELECT p.gid, g.n FROM person p JOIN grp g ON g.gid = p.gid "
    "WHERE p.user = ? AND p.standing = 'member' AND p.gid > ? ORDER BY p.gid LIMIT ?"
)
_OF_GROUP: Final = (
    "SELECT body FROM invitation WHERE gid = ? AND gid != '' AND iid > ? AND ended IS NULL ORDER BY iid LIMIT ?"
)


class SqliteGroups(SqliteBase):
    """The part of SqliteStore that keeps groups."""

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        """The groups that exist, each with the rows of the users named."""
        # The marks that wait now: a commit may take them along meanwhile, and writes them after this is read.
        names = [(gid, tuple(users), self._group_marks.of(gid)) for gid, users in wanted.items()]

        def read(db: sqlite3.Connection) -> list[tuple[bytes, int, list[bytes]] | None]:
            return [_read(db, gid, users) for gid, users, _ in names]

        found: dict[str, HeldGroup] = {}
        for (gid, _, waited), row in zip(names, await self._thread.run(read), strict=True):
            if row is not None:
                body, mark, bodies = row
                people = {person.user: person for person in map(decode_person, bodies)}
                found[gid] = HeldGroup(GroupView(decode_group(body), people), moved(mark, waited))
        return found

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        """Write new versions, with their rows, where the expected one stands."""
        now = self.now()
        rows = [_rows(change) for change in changes]  # one that cannot be encoded fails here, and no other's batch

        def write(db: sqlite3.Connection) -> list[bool]:
            db.execute("UPDATE clock SET ms = ?", (now,))
            return [_write(db, row) for row in rows]

        def note(written: list[bool]) -> None:
            for row, done in zip(rows, written, strict=True):
                if done:
                    self._late_groups.committed(row.group.gid, row.expected, row.group.n, now)
                if done and not row.expected:
                    self._usage.add(row.group.maker, groups=1)

        return await self._thread.run(self._with_marks(write), note)

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        """Remember marks; they are written with the next commit."""
        self._check_open()
        self._group_marks.add(self._late_groups.marked(marks))

    async def claim_unmarked_groups(self, lease_ms: int, limit: int) -> list[HeldGroup]:
        """Claim groups with events whose consequences may not have happened."""
        self._check_open()
        claimed = self._late_groups.claim(self.now(), lease_ms, limit)
        held = await self.load_groups(dict.fromkeys(claimed, ())) if claimed else {}
        return [held[gid] for gid in claimed if gid in held]

    async def people(self, gid: str, standing: Standing, after: str, limit: int) -> list[Person]:
        """The rows of this standing, by user id in byte order."""
        values = (gid, standing.value, after, limit)
        rows = await self._thread.run(lambda db: db.execute(_PEOPLE, values).fetchall())
        return [decode_person(body) for (body,) in rows]

    async def last_members(self, gid: str, after: str, limit: int) -> list[str]:
        """Who was a member when it was dismissed, by id in byte order."""
        rows = await self._thread.run(lambda db: db.execute(_LAST_MEMBERS, (gid, after, limit)).fetchall())
        return [user for (user,) in rows]

    async def groups_of(self, user: str, after: str, limit: int) -> list[tuple[str, int]]:
        """The groups the user is a member of, by id in byte order, each with its version."""
        rows: list[tuple[str, int]] = await self._thread.run(
            lambda db: db.execute(_GROUPS_OF, (user, after, limit)).fetchall()
        )
        return rows

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        """The open invitations made in the group, by id in byte order."""
        rows = await self._thread.run(lambda db: db.execute(_OF_GROUP, (gid, after, limit)).fetchall())
        return [decode(body) for (body,) in rows]


class _Rows(NamedTuple):
    """A change as its rows."""

    group: Group
    body: bytes
    expected: int
    put: list[tuple[str, str, str, bytes]]
    drop: list[tuple[str, str]]


def _rows(change: GroupChange) -> _Rows:
    group, expected, people = change
    put = [(group.gid, user, one.standing.value, encode_person(one)) for user, one in people.items() if one is not None]
    drop = [(group.gid, user) for user, one in people.items() if one is None]
    return _Rows(group, encode_group(group), expected, put, drop)


def _write(db: sqlite3.Connection, rows: _Rows) -> bool:
    group = rows.group
    if rows.expected:
        done = db.execute(_UPDATE, (group.n, group.dismissed, rows.body, group.gid, rows.expected))
    else:
        done = db.execute(_INSERT, (group.gid, group.n, group.dismissed, group.maker, rows.body))
    if done.rowcount != 1:
        return False
    if rows.expected:
        db.execute(DROP_LAST_MEMBERS, (group.gid,))
    if group.dismissed is not None:
        db.execute(_KEEP_MEMBERS, (group.gid,))
        db.execute(_DROP_ALL, (group.gid,))
    else:
        db.executemany(_PUT, rows.put)
        db.executemany(_DROP, rows.drop)
    return True


def _read(db: sqlite3.Connection, gid: str, users: Sequence[str]) -> tuple[bytes, int, list[bytes]] | None:
    row = db.execute(_GROUP, (gid,)).fetchone()
    if row is None:
        return None
    people = (db.execute(_PERSON, (gid, user)).fetchone() for user in users)
    return row[0], row[1], [person[0] for person in people if person is not None]
