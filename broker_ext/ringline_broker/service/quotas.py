"""What one user may take: requests a second, open invitations, bytes in the store, groups."""

from collections.abc import Collection
from typing import Final, NamedTuple

from ringline.protocol.errors import TOO_MANY_REQUESTS
from ringline.protocol.requests import Sync
from ringline.protocol.shapes import Request
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Refused
from ringline_broker.service.buckets import Buckets
from ringline_broker.service.ports import Store, Usage
from ringline_broker.settings import Settings

_LOOK_AT: Final = 64
"""Invitations of a user that are looked at for the next that ends."""
_MANY: Final = 4_096
_NAMES_FOR_ONE: Final = 5
"""So many users that a request names count as one more request."""
_MORE_FOR_SYNC: Final = 4
"""A page of what was missed is loaded, packed and sent."""
_NOTHING: Final = Usage()
UNKNOWN_WAIT: Final = 0
"""In a refusal: waiting helps, and how long is still to be found out."""


class Room(NamedTuple):
    """How much more one user may take in this turn."""

    open: int
    bytes: int

    def less(self, invitation: Invitation) -> "Room":
        """What is left of it after this new invitation."""
        return Room(self.open - (invitation.end is None), self.bytes - invitation.size)


class Quotas:
    """Says what is too much.

    Args:
        store: what users take already.
        settings: what they may.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._requests = Buckets(settings.request_rate, settings.request_burst)
        self._full_until: dict[str, int] = {}

    def too_fast(self, user: str, now_ms: int) -> Refused | None:
        """Take one request from what the user may ask for a second; a refusal where nothing is left of it."""
        if not self._settings.request_rate:
            return None
        bucket = self._requests.of(user, now_ms / 1000)
        if bucket.take(now_ms / 1000):
            return None
        text = f"at most {self._settings.request_rate} requests a second for long; ask again later"
        return Refused(TOO_MANY_REQUESTS, text, wait_ms=int(bucket.wait_s * 1000) + 1)

    def count_work(self, user: str, request: Request, now_ms: int) -> None:
        """Count a request as more than one for the work it makes: one that names many users, and a sync."""
        names = len(getattr(request, "to", ())) + len(getattr(request, "users", ()))
        more = names // _NAMES_FOR_ONE + (_MORE_FOR_SYNC if isinstance(request, Sync) else 0)
        if more and self._settings.request_rate:
            self._requests.of(user, now_ms / 1000).spend(more)

    async def rooms(self, users: Collection[str]) -> dict[str, Room]:
        """How much more each of these may take.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        used = await self._store.usage(users)
        settings = self._settings
        return {
            user: Room(settings.max_open - usage.open, settings.max_user_bytes - usage.bytes)
            for user, usage in ((user, used.get(user, _NOTHING)) for user in users)
        }

    def no_room(self, room: Room, invitation: Invitation) -> Refused | None:
        """Why this new invitation is one too many; `wait_for_room` knows when to ask again."""
        if invitation.end is None and room.open < 1:
            text = f"at most {self._settings.max_open} open invitations a user; end one first"
            return Refused(TOO_MANY_REQUESTS, text, wait_ms=UNKNOWN_WAIT)
        if room.bytes < invitation.size:
            text = f"at most {self._settings.max_user_bytes} bytes for all invitations of a user"
            text += "; those that are over count until they are forgotten"
            return Refused(TOO_MANY_REQUESTS, text, wait_ms=UNKNOWN_WAIT)
        return None

    async def wait_for_room(self, user: str, now_ms: int) -> int:
        """Milliseconds after which an invitation of the user ends, or is forgotten, so that there is room for another.
        It costs a look into the store, so what was found is good until it is over.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        until = self._full_until.get(user, 0)
        if until <= now_ms:
            retention_ms = self._settings.retention_s * 1000
            found = await self._store.of_user(user, now_ms - retention_ms, "", _LOOK_AT)
            ends = [_room_at(one, retention_ms) for one in found if one.inviter == user]
            until = max(min(ends, default=now_ms + retention_ms), now_ms + 1)
            if len(self._full_until) >= _MANY:
                self._full_until.clear()
            self._full_until[user] = until
        return until - now_ms

    async def groups_to_make(self, users: Collection[str]) -> dict[str, int]:
        """How many more groups each of these may make.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        used = await self._store.usage(users)
        return {user: self._settings.max_groups - used.get(user, _NOTHING).groups for user in users}


def _room_at(invitation: Invitation, retention_ms: int) -> int:
    if invitation.ended is not None:
        return invitation.ended + retention_ms
    return invitation.due or invitation.created + retention_ms
