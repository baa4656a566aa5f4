"""Reading the log: what a recipient has not heard, as messages of the protocol."""

from collections.abc import Iterator

from ringline.protocol.answers import State
from ringline.protocol.events import (
    Accepted,
    Cancelled,
    Dropped,
    Ended,
    Event,
    Expired,
    Invited,
    Modified,
    Offline,
    Rejected,
    Taken,
    TimedOut,
)
from ringline_broker.engine.model import MEMBERS, Invitation, LogEvent, Part, Seat

_SETTLING: dict[str, type[Taken | TimedOut | Expired | Offline]] = {
    "taken": Taken,
    "timed_out": TimedOut,
    "expired": Expired,
    "offline": Offline,
}


def events_since(invitation: Invitation, n: int, recipient: str) -> Iterator[tuple[LogEvent, int]]:
    """What a recipient has not heard after version n: each event with the version of the one before it that went to
    the same recipient (0 for the first). Live delivery, crash recovery and sync are all this function. What MEMBERS
    hear, any recipient in the group does.
    """
    before = 0
    for event in invitation.events:
        if recipient in event.to or MEMBERS in event.to:
            if event.n > n:
                yield event, before
            before = event.n


def recipients_since(invitation: Invitation, n: int) -> tuple[str, ...]:
    """Everybody to whom an event after version n is addressed: MEMBERS first, then others in the order of parties."""
    told = {user for event in invitation.events if event.n > n for user in event.to}
    return tuple([user for user in (MEMBERS, *invitation.parties) if user in told])


def ttl_for(invitation: Invitation, user: str, now_ms: int) -> int | None:
    """Milliseconds left for this user: 0 where it is over for them, None where there is no deadline."""
    seat = invitation.seats.get(user)
    if invitation.end is not None or (seat is not None and seat.part is not Part.PENDING):
        return 0
    if invitation.timeout == 0 or invitation.due is None:
        return None
    return max(0, invitation.due - now_ms)


def message_for(invitation: Invitation, event: LogEvent, p: int, user: str, now_ms: int) -> Event:
    """One event of the log as the message that this user gets.

    Only an `invited` differs between users by more than p: its time left is 0 for whom it is over.
    """
    iid, n, ts, by, dev, re, end = invitation.iid, event.n, event.ts, event.by, event.dev, event.re, event.end
    match event.ev:
        case "invited":
            return Invited(
                iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end,
                to=tuple(invitation.seats), ttl=ttl_for(invitation, user, now_ms), data=event.data,
                answers=invitation.answers, audience=invitation.audience, online_only=invitation.online_only,
                gid=invitation.gid,
            )
        case "accepted":
            return Accepted(iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end, data=event.data)
        case "rejected":
            return Rejected(
                iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end,
                data=event.data, reason=event.reason, text=event.text,
            )
        case "cancelled":
            return Cancelled(
                iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end,
                data=event.data, reason=event.reason, text=event.text, out=event.out,
            )
        case "dropped":
            return Dropped(
                iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end, out=event.out, reason=event.reason
            )
        case "modified":
            return Modified(iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end, data=event.data)
        case "ended":
            return Ended(iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end)
        case settling:
            return _SETTLING[settling](iid=iid, n=n, p=p, ts=ts, by=by, dev=dev, re=re, end=end, out=event.out)


def state_for(invitation: Invitation, user: str, now_ms: int, *, with_data: bool) -> State:
    """The present state as this party may see it: the inviter sees everybody's part, an invitee their own (everybody's
    where the audience is all parties).
    """
    sees_all = user == invitation.inviter or invitation.audience == "parties" or bool(invitation.gid)
    seats = {u: _shown(invitation, seat) for u, seat in invitation.seats.items() if sees_all or u == user}
    if invitation.end is None and invitation.timeout and invitation.due is not None:
        ttl = max(0, invitation.due - now_ms)
    else:
        ttl = None
    return State(
        iid=invitation.iid,
        n=invitation.n,
        by=invitation.inviter,
        to=seats,
        dev=_settled_by(invitation, user),
        ttl=ttl,
        data=invitation.data if with_data else b"",
        end=invitation.end,
    )


def _shown(invitation: Invitation, seat: Seat) -> str:
    if seat.part is not Part.BLOCKED:
        return seat.part.value
    return (Part.NOTIFIED if invitation.answers == 0 else Part.REJECTED).value


def _settled_by(invitation: Invitation, user: str) -> str | None:
    if invitation.is_invitee(user):
        return invitation.seats[user].device
    return next((e.dev for e in reversed(invitation.events) if e.end and e.by == user), None)
