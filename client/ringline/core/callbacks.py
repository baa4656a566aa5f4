"""Which event becomes which callback."""

from dataclasses import dataclass
from typing import Any

from ringline.core.held import HeldInvitation
from ringline.data import unpack_data
from ringline.events import (
    InvitationCancelled,
    InvitationCreated,
    InvitationDropped,
    InvitationEnded,
    InvitationMissed,
    InvitationModified,
    InvitationTaken,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    NewInvitation,
)
from ringline.protocol.events import (
    Accepted,
    Cancelled,
    Dropped,
    Event,
    Invited,
    Modified,
    Rejected,
    Settling,
    Taken,
    TimedOut,
)


@dataclass(frozen=True, slots=True)
class Callback:
    """A listener's method, and what to call it with."""

    method: str
    event: Any


def new_invitation(
    held: HeldInvitation,
    time_left: float | None,
    *,
    notice: bool = False,
    data: bytes | None = None,
    to_me: bool = True,
) -> Callback:
    """Ring, unless it is for others; with the data it was made with, unless there is other to tell."""
    invited = held.invited
    assert invited is not None  # noqa: S101 - callers have it
    return Callback(
        "on_receive_new_invitation",
        NewInvitation(
            invite_id=held.iid,
            inviter=held.inviter,
            invitees=invited.to,
            data=unpack_data(invited.data if data is None else data),
            time_left=time_left,
            answers=invited.answers,
            notice=notice,
            crossing=held.crossing,
            online_only=invited.online_only,
            group_id=invited.gid,
            to_me=to_me,
        ),
    )


def missed(held: HeldInvitation, user: str, device: str) -> Callback:
    """Over before it could ring."""
    part = held.parts.get(user) or ("notified" if held.outcome == "notice" else held.outcome or "gone")
    return Callback(
        "on_invitation_missed",
        InvitationMissed(
            invite_id=held.iid,
            inviter=held.inviter,
            data=unpack_data(held.data),
            part=part,
            device=held.devices.get(user),
            this_device=held.devices.get(user) == device,
            outcome=held.outcome,
            group_id=held.gid,
        ),
    )


def ended(held: HeldInvitation) -> Callback:
    """Over for everybody."""
    return Callback("on_invitation_ended", InvitationEnded(invite_id=held.iid, outcome=held.outcome or "gone"))


def of_event(event: Event, held: HeldInvitation, user: str, device: str) -> Callback | None:
    """What an event of a known invitation is heard as; None where only its end counts."""
    iid = event.iid
    mine = event.by == user and event.dev == device
    match event:
        case Invited():
            return Callback(
                "on_invitation_created",
                InvitationCreated(
                    invite_id=iid,
                    invitees=event.to,
                    data=unpack_data(event.data),
                    offline=event.offline,
                    this_device=mine,
                    group_id=event.gid,
                ),
            )
        case Accepted():
            return Callback(
                "on_invitee_accepted",
                InviteeAccepted(
                    invite_id=iid,
                    invitee=event.by or "",
                    device=event.dev,
                    this_device=mine,
                    data=unpack_data(event.data),
                ),
            )
        case Rejected():
            return Callback(
                "on_invitee_rejected",
                InviteeRejected(
                    invite_id=iid,
                    invitee=event.by or "",
                    device=event.dev,
                    this_device=mine,
                    data=unpack_data(event.data),
                    reason=event.reason,
                    text=event.text,
                ),
            )
        case Settling():
            return _of_settling(event, held, mine=mine)
        case Modified():
            modified = InvitationModified(invite_id=iid, data=unpack_data(event.data))
            return Callback("on_invitation_modified", modified)
        case _:
            return None


def _of_settling(event: Settling, held: HeldInvitation, *, mine: bool) -> Callback | None:
    iid = event.iid
    match event:
        case Taken():
            taken = InvitationTaken(invite_id=iid, by=event.by, device=event.dev, invitees=event.out)
            return Callback("on_invitation_taken", taken)
        case Cancelled():
            return Callback(
                "on_invitation_cancelled",
                InvitationCancelled(
                    invite_id=iid,
                    inviter=event.by or held.inviter,
                    invitees=event.out,
                    data=unpack_data(event.data),
                    reason=event.reason,
                    text=event.text,
                    this_device=mine,
                ),
            )
        case TimedOut():
            timeout = InvitationTimeout(invite_id=iid, inviter=held.inviter, invitees=event.out)
            return Callback("on_invitation_timeout", timeout)
        case Dropped():
            dropped = InvitationDropped(invite_id=iid, invitees=event.out, reason=event.reason)
            return Callback("on_invitation_dropped", dropped)
        case _:
            return None
