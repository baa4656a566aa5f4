"""Requests that wait for their turn: where there are more than fit into one, every user has the same share of it."""

from collections import deque
from itertools import count
from operator import itemgetter
from typing import Final

from ringline_broker.service.ports import Incoming

TURN_COST: Final = 256
"""What the requests of one turn may cost together, roughly: nobody is served in between."""
_SHARE: Final = 8
"""What a user may cost a turn before it is somebody else's turn."""
_BYTES: Final = 64
"""So many bytes of a request cost as much as one more."""


class Waiting:
    """Requests by user, in order of arrival where all that wait fit into one turn; else by deficit round robin, so that
    somebody with thousands of requests, or with large ones, holds up nobody but themselves.
    """

    def __init__(self) -> None:
        self._new: list[Incoming] = []
        self._cost = 0
        self._queues: dict[str, deque[tuple[int, Incoming]]] = {}
        self._left: dict[str, int] = {}
        """What users have left of shares that were too small for what is first in their queue."""
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._new or self._queues)

    def __len__(self) -> int:
        return len(self._new) + sum(map(len, self._queues.values()))

    @property
    def has_backlog(self) -> bool:
        """Whether more waits than fits into one turn."""
        return bool(self._queues) or self._cost > TURN_COST

    def add(self, incoming: Incoming) -> None:
        """Have a request wait."""
        self._new.append(incoming)
        self._cost += _cost(incoming)

    def take(self) -> list[Incoming]:
        """What is of the next turn, in order of arrival."""
        new, self._new = self._new, []
        cost, self._cost = self._cost, 0
        if not self._queues and cost <= TURN_COST:
            return new
        for incoming in new:
            self._queues.setdefault(incoming.user, deque()).append((next(self._numbers), incoming))
        taken: list[tuple[int, Incoming]] = []
        spent = 0
        while self._queues and spent < TURN_COST:
            for user in list(self._queues):
                spent += self._take_share(user, taken)
        return [incoming for _, incoming in sorted(taken, key=itemgetter(0))]

    def _take_share(self, user: str, taken: list[tuple[int, Incoming]]) -> int:
        queue = self._queues[user]
        left = before = self._left.pop(user, 0) + _SHARE
        while queue and (cost := _cost(queue[0][1])) <= left:
            left -= cost
            taken.append(queue.popleft())
        if queue:
            self._left[user] = left
        else:
            del self._queues[user]
        return before - left


def _cost(incoming: Incoming) -> int:
    return 1 + len(incoming.payload) // _BYTES
