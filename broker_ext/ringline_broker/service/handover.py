"""What the broker says of messages that were handed to it together. Told by callbacks: a turn has many messages, and a
task for each costs more than the message.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

from ringline_broker.service.ports import Reach

Said: TypeAlias = Reach | asyncio.Future[Reach]
"""What the broker says of a message, at once or later."""
Lost: TypeAlias = frozenset[str] | asyncio.Future[frozenset[str]]
"""The ids of which something was given up, at once or when the broker has everything."""


class Sent(NamedTuple):
    """A message that was handed over, what the broker says of it, and whose events are in it."""

    topic: str
    said: Said
    names: Collection[str]

    @property
    def reach(self) -> Reach:
        """What the broker has said; what it did not say yet, or cannot say, is unknown."""
        said = self.said
        if isinstance(said, Reach):
            return said
        if not said.done() or said.cancelled() or said.exception() is not None:
            return Reach.UNKNOWN
        return said.result()


def when_said(sent: Sequence[Sent], then: Callable[[], None], within_s: float | None = None) -> None:
    """Call back once the broker has said something of each, now where it has, and after so long in any case."""
    waiting = [one.said for one in sent if isinstance(one.said, asyncio.Future) and not one.said.done()]
    if waiting:
        _Countdown(waiting, then, within_s)
    else:
        then()


def lost_of(sent: Sequence[Sent]) -> frozenset[str]:
    """Whose events were given up, in part or all, as far as the broker has said."""
    return frozenset([name for one in sent if one.reach is Reach.LOST for name in one.names])


def when_known(lost: Lost, then: Callable[[frozenset[str]], None]) -> None:
    """Call back with what was given up, now where it is known."""
    if isinstance(lost, frozenset):
        then(lost)
    else:
        lost.add_done_callback(lambda known: then(known.result()))


class _Countdown:
    """Calls back when so many futures are done, or the time is over; once."""

    __slots__ = ("_left", "_then", "_timer")

    def __init__(
        self, waiting: Sequence[asyncio.Future[Reach]], then: Callable[[], None], within_s: float | None
    ) -> None:
        self._left = len(waiting)
        self._then: Callable[[], None] | None = then
        self._timer = None if within_s is None else waiting[0].get_loop().call_later(within_s, self._end)
        for one in waiting:
            one.add_done_callback(self._is_done)

    def _is_done(self, _: asyncio.Future[Reach]) -> None:
        self._left -= 1
        if not self._left:
            self._end()

    def _end(self) -> None:
        then, self._then = self._then, None
        if self._timer is not None:
            self._timer.cancel()
        if then is not None:
            then()
