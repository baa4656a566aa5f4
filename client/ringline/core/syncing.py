"""The sync requests a device makes, and the server time it has seen."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from ringline.protocol.limits import REQUEST_ID_BYTES
from ringline.protocol.messages import Sync

KNOWN_AT_ONCE: Final = 200
"""Invitations one request names; with the longest ids that is 15 KB. The server tells of the others once more, and
repeats are dropped."""


class Syncing:
    """Makes sync requests.

    Args:
        device: this installation.
        since: the largest server time seen so far, epoch milliseconds.
    """

    def __init__(self, device: str, since: int | None) -> None:
        self._device = device
        self.since = since
        self.current: bytes | None = None

    def saw(self, ts: int) -> None:
        """A server time was seen."""
        if ts:
            self.since = max(ts, self.since or 0)

    def begin(self, known: Mapping[str, int]) -> Sync:
        """The first page of a sync of everything."""
        request = Sync(id=_new_id(), dev=self._device, known=_some(known), since=self.since)
        self.current = request.id
        return request

    def ask(self, known: Mapping[str, int]) -> Sync:
        """A sync of these invitations alone."""
        return Sync(id=_new_id(), dev=self._device, known=_some(known), only=True)

    def next_page(self, request: Sync, place: bytes) -> Sync:
        """The page after."""
        following = replace(request, id=_new_id(), next=place)
        if not request.only:
            self.current = following.id
        return following

    def finish(self) -> bool:
        """The sync of everything is complete; False where it was stopped before."""
        was_running, self.current = self.current is not None, None
        return was_running

    def stop(self) -> None:
        """The connection is gone; the next begins again."""
        self.current = None


def _new_id() -> bytes:
    return secrets.token_bytes(REQUEST_ID_BYTES)


def _some(known: Mapping[str, int]) -> dict[str, int] | None:
    return dict(islice(known.items(), KNOWN_AT_ONCE)) or None
