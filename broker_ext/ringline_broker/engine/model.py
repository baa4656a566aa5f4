"""An invitation as a value: its state, its version, and the log of its events.

Named tuples, since every command makes new ones: they are made and copied several times faster than frozen dataclasses.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

MEMBERS: Final = ""
"""In place of a user, who has another id: all members of the group that an invitation was made in."""


class Part(StrEnum):
    """Where one invitee stands. Everything but PENDING is settled for good."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TAKEN = "taken"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    OFFLINE = "offline"
    DROPPED = "dropped"
    NOTIFIED = "notified"
    BLOCKED = "blocked"
    """Has the inviter on their blocklist: no party at all, and to whoever asks as one whose line is busy."""


class Outcome(StrEnum):
    """How an invitation ended: accepted where anyone accepted, otherwise what settled the last invitee."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    OFFLINE = "offline"
    DROPPED = "dropped"
    NOTICE = "notice"


class Seat(NamedTuple):
    """One invitee's part, and the device that settled it where a device of theirs did."""

    part: Part = Part.PENDING
    device: str | None = None


def pending_of(seats: Mapping[str, Seat]) -> tuple[str, ...]:
    """Who of them is still pending."""
    return tuple([user for user, seat in seats.items() if seat.part is Part.PENDING])


class LogEvent(NamedTuple):
    """One event of the log.

    Attributes:
        n: the invitation's version that this event made.
        ev: the event's name on the wire.
        ts: when, store time, epoch milliseconds.
        to: the users it is addressed to, or MEMBERS and those who are none any more; none for a superseded
            modification, whose data is gone but whose request id
            must still be known.
        by, dev, re: user, device and id of the request that made it; None where the extension did.
        end: the outcome, where this event ends the invitation.
        out: the invitees it settles.
    """

    n: int
    ev: str
    ts: int
    to: tuple[str, ...]
    by: str | None = None
    dev: str | None = None
    re: bytes | None = None
    end: str | None = None
    data: bytes = b""
    reason: str = ""
    text: str = ""
    out: tuple[str, ...] = ()


class Invitation(NamedTuple):
    """One invitation.

    Attributes:
        n: its version, which is the version of its newest event.
        seats: every invitee's part, in the order they were invited. None at all makes a tombstone: the inviter
            cancelled this id before the invitation arrived, so it must never ring.
        answers: how many may accept; None for all, 0 for a notice.
        timeout: seconds, 0 for none.
        due: store time at which the extension acts (deadline or quiet limit), or None once it is over.
        ended: store time of the end, or None while it is open.
        size: bytes the record takes, roughly; what the limit on records counts.
        gid: the group it was made in, or empty.
    """

    iid: str
    inviter: str
    seats: Mapping[str, Seat]
    n: int = 0
    data: bytes = b""
    answers: int | None = None
    audience: str = ""
    online_only: bool = False
    timeout: int = 0
    created: int = 0
    due: int | None = None
    end: str | None = None
    ended: int | None = None
    size: int = 0
    gid: str = ""
    events: tuple[LogEvent, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        """The inviter and every invitee who lets this inviter ring."""
        return (self.inviter, *[user for user, seat in self.seats.items() if seat.part is not Part.BLOCKED])

    @property
    def pending(self) -> tuple[str, ...]:
        """The invitees who are still pending."""
        return pending_of(self.seats)

    @property
    def is_tombstone(self) -> bool:
        """Whether this only remembers that an id was cancelled before its invitation came."""
        return not self.seats

    def is_party(self, user: str) -> bool:
        """Whether this user has a part in it."""
        return user == self.inviter or self.is_invitee(user)

    def is_invitee(self, user: str) -> bool:
        """Whether this user was invited, and lets this inviter ring."""
        seat = self.seats.get(user)
        return seat is not None and seat.part is not Part.BLOCKED
