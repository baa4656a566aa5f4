"""What counts as a repeat: asked again, it succeeds and changes nothing."""

from ringline.protocol.requests import Accept, Cancel, Invite, OnInvitation, Reject
from ringline_broker.engine.model import Invitation, Part, Seat


def is_repeat(invitation: Invitation | None, user: str, request: OnInvitation) -> bool:
    """A repeat by the same request id, or by the same device of what it brought about."""
    if invitation is None:
        return False
    if any(event.re == request.id and event.by == user for event in invitation.events):
        return True
    match request:
        case Accept():
            return invitation.seats.get(user) == Seat(Part.ACCEPTED, request.dev)
        case Reject():
            return invitation.seats.get(user) == Seat(Part.REJECTED, request.dev)
        case Invite():
            return invitation.inviter == user and _same_invite(invitation, request)
        case Cancel() if invitation.inviter == user:
            return _same_cancel(invitation, request)
        case _:
            return False


def _same_invite(invitation: Invitation, request: Invite) -> bool:
    if invitation.is_tombstone:
        return False
    first = next(event for event in invitation.events if event.ev == "invited")
    return (
        tuple(dict.fromkeys(request.to)) == tuple(invitation.seats)
        and request.data == first.data
        and request.timeout == invitation.timeout
        and request.answers == invitation.answers
        and request.audience == invitation.audience
        and request.online_only == invitation.online_only
        and request.gid == invitation.gid
    )


def _same_cancel(invitation: Invitation, request: Cancel) -> bool:
    """Whether this device already cancelled just what is asked for now."""
    cancels = [e for e in invitation.events if e.ev == "cancelled" and e.by == invitation.inviter]
    if invitation.is_tombstone:
        return True
    mine = {user for event in cancels if event.dev == request.dev for user in event.out}
    if request.to:
        return set(request.to) <= mine
    return any(event.end is not None and event.dev == request.dev for event in cancels)
