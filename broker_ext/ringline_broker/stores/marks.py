"""Marks that wait for the next commit: a mark may lag, and so it costs no transaction of its own."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ringline_broker.service.ports import Mark

T = TypeVar("T")


class LateMarks:
    """Marks of one table.

    Args:
        sql: moves one, as `Mark.moved`; its parameters are the id, `since` and `to`.
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
    """Where a mark stands after these."""
    for one in marks:
        mark = one.moved(mark)
    return mark
