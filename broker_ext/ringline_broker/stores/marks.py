"""Where marks stand, and marks that wait for the next commit: one may lag, and so costs no transaction of its own."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ringline_broker.service.ports import Mark

T = TypeVar("T")


class Handed(NamedTuple):
    """How much of a log was handed to the broker.

    Attributes:
        mark: everything up to this version.
        since, to: and what comes after the one version up to the other, by a process that was faster than whoever hands
            over what is between; `to` is 0 where there is none.
    """

    mark: int = 0
    since: int = 0
    to: int = 0

    def after(self, one: Mark, n: int) -> "Handed":
        """How it stands after this mark of a log whose newest version is n. Of two that are ahead and do not touch the
        one that begins first is remembered; what the other stands for is handed over again.
        """
        mark, since, to = self
        if one.to > n or one.to <= mark:
            return self
        if one.since <= mark:
            mark = one.to
        elif to and one.since <= to and since <= one.to:
            since, to = min(since, one.since), max(to, one.to)
        elif not to or one.since < since:
            since, to = one.since, one.to
        if not to or since > mark:
            return Handed(mark, since, to)
        return Handed(max(mark, to))


class LateMarks:
    """Marks of one table.

    Args:
        sql: moves one that stands at `since` to `to`; its parameters are the id and these.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._waiting: dict[str, list[Mark]] = {}

    def add(self, marks: Sequence[Mark]) -> None:
        """Let these wait, behind those that do."""
        for mark in marks:
            self._waiting.setdefault(mark.iid, []).append(mark)

    def of(self, iid: str) -> tuple[Mark, ...]:
        """Those of this id that wait."""
        return tuple(self._waiting.get(iid, ()))

    def take(self, iid: str) -> Mark | None:
        """The mark of this id that waits, where it is the only one; whoever takes it moves it."""
        marks = self._waiting.get(iid, ())
        if len(marks) != 1:
            return None
        del self._waiting[iid]
        return marks[0]

    def before(self, work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The same work, after all marks that wait; from now on they do not."""
        marks, self._waiting = self._waiting, {}
        if not marks:
            return work

        def both(db: sqlite3.Connection) -> T:
            db.executemany(self._sql, [mark for some in marks.values() for mark in some])
            return work(db)

        return both


def moved(mark: int, marks: Iterable[Mark]) -> int:
    """Where a mark stands after these, none of which is ahead of those before it."""
    return max([mark, *(one.to for one in marks)])
