"""One invitation as this device knows it, and the order of its events."""

from dataclasses import dataclass, field
from typing import Final

from ringline.protocol.events import (
    Accepted,
    Cancelled,
    Dropped,
    Event,
    Expired,
    Invited,
    Modified,
    Offline,
    Rejected,
    Taken,
    TimedOut,
)
from ringline.protocol.limits import MAX_INT

GAP_WAIT_S: Final = 1.0
REMEMBER_S: Final = 600.0

_SETTLES: Final[dict[type[Event], str]] = {
    Taken: "taken",
    Cancelled: "cancelled",
    TimedOut: "timed_out",
    Expired: "expired",
    Offline: "offline",
    Dropped: "dropped",
}


@dataclass(slots=True)
class HeldInvitation:
    """An invitation.

    Attributes:
        gid: the group it was made in, as far as is known; "" for none.
        seen: the largest version taken; what sync tells the server.
        early: events that came before one they follow, by version.
        gap_since: since when one is missing, or None.
        invited: the event that made it, once taken.
        parts: invitees who are settled, and how; those not here are pending.
        outcome: how it ended, None while it is open.
        over_at: when it ended here; it is forgotten ten minutes later.
        ended_ts: when it ended, server time; 0 where that is not known.
        rings_until: the deadline, by this device's time; None where there is none.
        check_at: when to ask the server, should nothing have ended it by then.
        told: whether the application was told of it as a new invitation, so that it hears the rest as well.
        crossing: whether it was one of two that crossed.
        gives_way_to: the invitation of this user that stands where the two crossed; this one, which its inviter will
            cancel, does not ring.
        withdrawn: whether its inviter took it back from this user because of that: nothing is told of it.
    """

    iid: str
    gid: str = ""
    seen: int = 0
    early: dict[int, Event] = field(default_factory=dict)
    gap_since: float | None = None
    invited: Invited | None = None
    data: bytes = b""
    parts: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None
    over_at: float | None = None
    ended_ts: int = 0
    rings_until: float | None = None
    check_at: float | None = None
    told: bool = False
    crossing: bool = False
    gives_way_to: str | None = None
    withdrawn: bool = False

    @property
    def inviter(self) -> str:
        """Who invited; "" while the event that says so has not been taken."""
        return "" if self.invited is None else self.invited.by or ""

    @property
    def is_open(self) -> bool:
        """Whether it is known and not over."""
        return self.invited is not None and self.outcome is None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to hold: it is not known, not over, and nothing of it is waited for."""
        return self.invited is None and self.over_at is None and self.gap_since is None and not self.early

    @property
    def is_strange(self) -> bool:
        """Whether nothing is known but that members of a group heard something of it."""
        return self.invited is None and self.gid != ""

    def has_part(self, user: str) -> bool:
        """Whether this user is the inviter or invited; other members of a group only hear what becomes of it."""
        return self.invited is not None and (user == self.inviter or user in self.invited.to)

    def is_pending_for(self, user: str) -> bool:
        """Whether this user is invited and may still answer."""
        return self.is_open and self.invited is not None and user in self.invited.to and user not in self.parts

    def stop_for_dropped(self, user: str) -> None:
        """It is over for who left the group, though it may go on for others; it is never to be told again."""
        if self.parts.get(user) == "dropped" and self.outcome is None:
            self.outcome, self.ended_ts = "dropped", MAX_INT

    def take(self, event: Event, now: float) -> list[Event]:
        """Take an event in its turn.

        Returns:
            What is to be heard now, in order: none where it was heard before or has to wait for another, several
            where others waited for it.
        """
        if event.n <= self.seen:
            return []
        self.early[event.n] = event
        taken: list[Event] = []
        while (following := self._next_early()) is not None:
            self.seen = following.n
            self._note(following)
            taken.append(following)
        self.early = {n: waiting for n, waiting in self.early.items() if n > self.seen}
        if not self.early:
            self.gap_since = None
        elif self.gap_since is None or taken:
            self.gap_since = now
        return taken

    def _next_early(self) -> Event | None:
        fitting = [n for n, event in self.early.items() if event.p <= self.seen < n]
        return self.early.pop(min(fitting)) if fitting else None

    def _note(self, event: Event) -> None:
        match event:
            case Invited():
                self.invited, self.data, self.gid = event, event.data, event.gid
            case Modified():
                self.data = event.data
            case Accepted() | Rejected() if event.by is not None:
                self.parts[event.by] = event.ev
                if event.dev is not None:
                    self.devices[event.by] = event.dev
            case Taken() | Cancelled() | TimedOut() | Expired() | Offline() | Dropped():
                self.parts.update(dict.fromkeys(event.out, _SETTLES[type(event)]))
            case _:
                pass
        if event.end is not None and self.outcome is None:
            self.outcome, self.ended_ts = event.end, event.ts
