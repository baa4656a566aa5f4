"""What every part of the sqlite store needs: its thread, its time, and what it keeps in memory beside the file."""

import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from ringline_broker.service.clock import SteadyTime
from ringline_broker.stores.closable import Closable
from ringline_broker.stores.marks import LateMarks
from ringline_broker.stores.unmarked import Unmarked
from ringline_broker.stores.usage import UsageCounts
from ringline_broker.stores.writer import WriterThread

MARK_INVITATION: Final = "UPDATE invitation SET mark = ?3 WHERE iid = ?1 AND mark >= ?2 AND mark < ?3"
"""Moves one mark; its parameters are those of a Mark."""
_MARK_GROUP: Final = "UPDATE grp SET mark = ?3 WHERE gid = ?1 AND mark >= ?2 AND mark < ?3"
T = TypeVar("T")


class Kept(NamedTuple):
    """What is in the file and in memory too, since one process owns the file.

    Attributes:
        usage: what each user takes.
        blockers: the users who have a blocklist.
        late: the invitations whose mark is behind.
        late_groups: the groups likewise.
    """

    usage: UsageCounts
    blockers: set[str]
    late: Unmarked
    late_groups: Unmarked


class SqliteBase(Closable):
    """The parts of SqliteStore have this in common.

    Args:
        thread: has the connection.
        time: what time it is.
        kept: as it is in the file.
    """

    def __init__(self, thread: WriterThread, time: SteadyTime, kept: Kept) -> None:
        super().__init__()
        self._thread = thread
        self._time = time
        self._usage, self._blockers, self._late, self._late_groups = kept
        self._marks = LateMarks(MARK_INVITATION)
        self._group_marks = LateMarks(_MARK_GROUP)

    def now(self) -> int:
        """Store time, epoch milliseconds."""
        return self._time.now()

    def _with_marks(self, work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The same work, after the marks that wait, of invitations and of groups."""
        return self._marks.before(self._group_marks.before(work))
