"""Making the next version of an invitation: events are added, then the end is worked out once."""

from collections.abc import Iterable

from ringline_broker.engine.model import MEMBERS, Invitation, LogEvent, Outcome, Part, Seat, pending_of

EVENT_OVERHEAD_BYTES = 96
NAME_OVERHEAD_BYTES = 66

_ENDS_AS = {
    "rejected": Outcome.REJECTED,
    "cancelled": Outcome.CANCELLED,
    "timed_out": Outcome.TIMED_OUT,
    "expired": Outcome.EXPIRED,
    "offline": Outcome.OFFLINE,
    "dropped": Outcome.DROPPED,
    "invited": Outcome.NOTICE,
}


class Draft:
    """A mutable copy of an invitation, while one command changes it.

    Args:
        base: the invitation as it stands.
        now_ms: store time of the command.
        by, dev, re: user, device and id of the request that makes the change; None for the extension itself.
    """

    def __init__(
        self,
        base: Invitation,
        now_ms: int,
        by: str | None = None,
        dev: str | None = None,
        re: bytes | None = None,
    ) -> None:
        self._base = base
        self._now = now_ms
        self._made_by = (by, dev, re)
        self._seats = dict(base.seats)
        self._data = base.data
        self._old = base.events
        self._new: list[LogEvent] = []
        self._size = base.size

    def settle(self, users: Iterable[str], part: Part, device: str | None = None) -> None:
        """Settle invitees."""
        for user in users:
            self._seats[user] = Seat(part, device)

    def count(self, part: Part) -> int:
        """How many invitees stand there now."""
        return sum(seat.part is part for seat in self._seats.values())

    @property
    def _parties(self) -> tuple[str, ...]:
        return self._base._replace(seats=self._seats).parties

    @property
    def pending(self) -> tuple[str, ...]:
        """Who is still pending now."""
        return pending_of(self._seats)

    def add(
        self,
        ev: str,
        to: tuple[str, ...],
        *,
        data: bytes = b"",
        reason: str = "",
        text: str = "",
        out: tuple[str, ...] = (),
        gone: tuple[str, ...] = (),
        made_by: tuple[str, str, bytes] | None = None,
    ) -> None:
        """Add an event, addressed to these users, or to all parties where the invitation's audience says so. In a group
        all members hear it, and on their own topics those who are members no more. `made_by`: somebody else than whose
        request this is.
        """
        if self._base.gid:
            to = (MEMBERS, *(user for user in self._base.parties if user in gone))
        elif self._base.audience == "parties":
            to = self._parties
        by, dev, re = made_by or self._made_by
        n = self._base.n + len(self._new) + 1
        self._append(LogEvent(n, ev, self._now, to, by, dev, re, None, data, reason, text, out))

    def _append(self, event: LogEvent) -> None:
        names = len(event.to) + len(event.out)
        self._size += EVENT_OVERHEAD_BYTES + len(event.data) + 4 * len(event.text) + NAME_OVERHEAD_BYTES * names
        self._new.append(event)

    def replace_data(self, data: bytes) -> None:
        """Replace the data; modifications before this one lose theirs, and keep only what a repeat is known by."""
        self._data = data
        self._size -= sum(len(event.data) for event in self._old if event.ev == "modified")
        self._old = tuple(
            event._replace(to=(), data=b"") if event.ev == "modified" else event for event in self._old
        )

    def finish(self) -> Invitation:
        """The next version. Where nobody is pending any more the newest event carries the end, and every party it is
        not addressed to gets a bare one.
        """
        base = self._base
        end, ended, due = base.end, base.ended, base.due
        if end is None and not self.pending:
            end, ended, due = self._outcome(), self._now, None
            self._new[-1] = self._new[-1]._replace(end=end)
            told = self._new[-1].to
            untold = () if MEMBERS in told else tuple(user for user in self._parties if user not in told)
            if untold:
                n = self._new[-1].n + 1
                self._append(LogEvent(n, "ended", self._now, untold, end=end))
        return base._replace(
            n=base.n + len(self._new),
            seats=self._seats,
            data=self._data,
            due=due,
            end=end,
            ended=ended,
            size=self._size,
            events=(*self._old, *self._new),
        )

    def _outcome(self) -> str:
        if self.count(Part.ACCEPTED):
            return Outcome.ACCEPTED
        return _ENDS_AS[self._new[-1].ev]
