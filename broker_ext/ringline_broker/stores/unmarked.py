"""What is not marked yet, and since when nobody has worked at it. Only for a store with one process."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ringline_broker.service.ports import Mark
from ringline_broker.stores.marks import Handed


class Row(NamedTuple):
    """A record as the file has it: its id, its version, and where its mark stands."""

    name: str
    n: int
    mark: int


@dataclass(slots=True)
class _Late:
    n: int
    handed: Handed
    left_ms: int


class Unmarked:
    """The records whose mark is behind, with when each was committed or claimed last.

    Args:
        rows: those that the file has; whoever wrote them is gone, so they may be claimed at once.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._late = {row.name: _Late(row.n, Handed(row.mark), 0) for row in rows}
        self._queue = [(0, name.encode()) for name in self._late]
        """By time; one that was committed, claimed or marked since is passed over when its turn comes."""
        heapq.heapify(self._queue)

    def committed(self, name: str, expected: int, n: int, now_ms: int) -> None:
        """A version was written. Where none was late before it, all of that one was handed over."""
        known = self._late.get(name)
        if known is None:
            self._late[name] = _Late(n, Handed(expected), now_ms)
        else:
            known.n, known.left_ms = n, now_ms
        heapq.heappush(self._queue, (now_ms, name.encode()))

    def marked(self, marks: Sequence[Mark]) -> list[Mark]:
        """Move marks; what comes of it: each of these from where one stands to where it goes."""
        moved: list[Mark] = []
        for mark in marks:
            known = self._late.get(mark.iid)
            if known is None:
                continue
            before, known.handed = known.handed.mark, known.handed.after(mark, known.n)
            if known.handed.mark > before:
                moved.append(Mark(mark.iid, before, known.handed.mark))
            if known.handed.mark >= known.n:
                del self._late[mark.iid]
        return moved

    def forget(self, names: Iterable[str]) -> None:
        """These are no more."""
        for name in names:
            self._late.pop(name, None)

    def claim(self, now_ms: int, lease_ms: int, limit: int) -> list[str]:
        """Those left for a lease, the longest first, of those left at once the lowest id; from now on they are not."""
        claimed: list[str] = []
        while len(claimed) < limit and self._queue and self._queue[0][0] <= now_ms - lease_ms:
            left_ms, encoded = heapq.heappop(self._queue)
            name = encoded.decode()
            known = self._late.get(name)
            if known is not None and known.left_ms == left_ms and name not in claimed:
                claimed.append(name)
        for name in claimed:
            self._late[name].left_ms = now_ms
            heapq.heappush(self._queue, (now_ms, name.encode()))
        return claimed
