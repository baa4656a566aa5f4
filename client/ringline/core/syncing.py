"""The sync requests a device makes, and the server time it has seen."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from ringline.ids import new_request_id
from ringline.protocol.limits import LOOK_BACK_MS
from ringline.protocol.requests import Sync

KNOWN_AT_ONCE: Final = 200
"""Invitations one request names; with the longest ids that is 15 KB. The server tells of the others once more, and
repeats are dropped."""


class Syncing:
    """Makes sync requests.

    Args:
        device: this installation.
        since: the largest server time seen so far, epoch milliseconds.

    Attributes:
        since: the largest server time up to which nothing was missed. It stands still until a sync is complete: should
            the connection end before, the next one asks for the same again.
    """

    def __init__(self, device: str, since: int | None) -> None:
        self._device = device
        self.since = since
        self.current: bytes | None = None
        self._is_complete = False
        self._ahead = 0

    def saw(self, ts: int) -> None:
        """A server time was seen."""
        self._ahead = max(ts, self._ahead)
        self._catch_up()

    def tells_again(self, ended_ts: int) -> bool:
        """Whether the next sync would tell of what ended then, though it was heard."""
        return self.since is not None and ended_ts > self.since - LOOK_BACK_MS

    def begin(self, known: Mapping[str, int]) -> Sync:
        """The first page of a sync of everything."""
        request = Sync(id=new_request_id(), dev=self._device, known=some_of(known), since=self.since)
        self.current, self._is_complete = request.id, False
        return request

    def ask(self, known: Mapping[str, int]) -> Sync:
        """A sync of these invitations alone."""
        return Sync(id=new_request_id(), dev=self._device, known=some_of(known), only=True)

    def next_page(self, request: Sync, place: bytes) -> Sync:
        """The page after."""
        following = replace(request, id=new_request_id(), next=place)
        if not request.only:
            self.current = following.id
        return following

    def finish(self, *, told_all: bool) -> bool:
        """The sync of everything is over; False where it was stopped before.

        Args:
            told_all: whether its last page came.
        """
        was_running, self.current = self.current is not None, None
        self._is_complete = self._is_complete or (was_running and told_all)
        self._catch_up()
        return was_running

    def stop(self) -> None:
        """The connection is gone; the next begins again."""
        self.current, self._is_complete = None, False

    def _catch_up(self) -> None:
        if self._is_complete and self._ahead:
            self.since = max(self._ahead, self.since or 0)


def some_of(known: Mapping[str, int]) -> dict[str, int] | None:
    """As many as one request names."""
    return dict(islice(known.items(), KNOWN_AT_ONCE)) or None
