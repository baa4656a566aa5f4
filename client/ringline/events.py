"""What callbacks get: one typed object each. Times are seconds."""

from dataclasses import dataclass

from ringline.data import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationEvent:
    """What every event of an invitation says."""

    invite_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation(InvitationEvent):
    """Somebody invites this user: ring. Or somebody invites other members of a group: do not.

    Attributes:
        inviter: who.
        invitees: everybody invited, this user among them where `to_me`.
        data: the inviter's.
        time_left: seconds until the deadline; None where there is none.
        answers: how many may accept before the rest need not; None for all.
        notice: it only tells something (a hang-up record); it is over, and nobody should ring.
        crossing: this user was inviting the inviter at the same moment; that invitation gives way to this one.
        online_only: it reaches only devices that are online now.
        group_id: the group it is made in; "" where it is in none.
        to_me: whether this user is invited; False for the other members of the group, who hear what becomes of it.
    """

    inviter: str
    invitees: tuple[str, ...]
    data: Value
    time_left: float | None
    answers: int | None = None
    notice: bool = False
    crossing: bool = False
    online_only: bool = False
    group_id: str = ""
    to_me: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationCreated(InvitationEvent):
    """An invitation of this user stands, made by this device or another of theirs.

    Attributes:
        invitees: everybody invited.
        data: what was sent.
        offline: the invitees of whom no device is online, as far as the broker can tell.
        this_device: whether this device made it.
        group_id: the group it is made in; "" where it is in none.
    """

    invitees: tuple[str, ...]
    data: Value
    offline: tuple[str, ...] = ()
    this_device: bool = True
    group_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteeRinging(InvitationEvent):
    """A device of an invitee really alerts its user now."""

    invitee: str
    device: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteeAccepted(InvitationEvent):
    """An invitee accepted. Heard by the inviter, and by all devices of that invitee: stop ringing.

    Attributes:
        invitee: who.
        device: on which of their devices.
        this_device: whether that is this one.
        data: the invitee's.
    """

    invitee: str
    device: str | None
    this_device: bool
    data: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteeRejected(InvitationEvent):
    """An invitee rejected. Heard like InviteeAccepted.

    Attributes:
        reason: a word of the reason registry, or the application's own; "" where none was given.
        text: free text beside it.
    """

    invitee: str
    device: str | None
    this_device: bool
    data: Value
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTaken(InvitationEvent):
    """Enough others accepted: stop ringing.

    Attributes:
        by: the invitee whose acceptance was the last one wanted, on `device`.
        invitees: who need not answer any more.
    """

    by: str | None
    device: str | None
    invitees: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationCancelled(InvitationEvent):
    """The inviter took it back for `invitees`: stop ringing."""

    inviter: str
    invitees: tuple[str, ...]
    data: Value
    reason: str
    text: str
    this_device: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTimeout(InvitationEvent):
    """The deadline passed; `invitees` had not answered: stop ringing."""

    inviter: str
    invitees: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationModified(InvitationEvent):
    """The inviter replaced the data."""

    data: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDropped(InvitationEvent):
    """Members who were invited, or the inviter, left the group: `invitees` need not answer any more: stop ringing.

    Attributes:
        reason: `left`, `removed` or `dismissed`.
    """

    invitees: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationMissed(InvitationEvent):
    """An invitation that was over for this user before this device heard of it. It never rang here.

    Attributes:
        inviter: who.
        data: the inviter's.
        part: how it was settled for this user: `timed_out`, `cancelled`, `taken`, `expired`, `dropped`, or `accepted`
            and `rejected` where another device of this user answered, or `notified` for a notice.
        device: the device that answered, where one of this user's did.
        this_device: whether that was this one, in an earlier run.
        outcome: how the invitation ended; None where others may still answer.
        group_id: the group it was made in; "" where it was in none.
    """

    inviter: str
    data: Value
    part: str
    device: str | None
    this_device: bool
    outcome: str | None
    group_id: str = ""

    @property
    def answered_elsewhere(self) -> bool:
        """Whether another device of this user answered."""
        return self.part in ("accepted", "rejected") and not self.this_device


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationEnded(InvitationEvent):
    """It is over for everybody.

    Attributes:
        outcome: `accepted` where anyone accepted; otherwise `rejected`, `cancelled`, `timed_out`, `expired`,
            `offline`, `dropped`, `notice`; or `gone` where the server no longer knows it.
    """

    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The client is connected, subscribed, and has heard what it missed."""

    user: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection ended or could not be made.

    Attributes:
        reason: why, for a person.
        retry_in: seconds until the next try; None where there will be none.
    """

    reason: str
    retry_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationState(InvitationEvent):
    """An invitation's present state, as the server has it.

    Attributes:
        inviter: who.
        invitees: each invitee's part; an invitee sees only their own.
        data: the invitation's.
        time_left: seconds while it is open and has a deadline, else None.
        outcome: how it ended, None while it is open.
        device: the device that settled it for this user, where one did.
    """

    inviter: str
    invitees: dict[str, str]
    data: Value
    time_left: float | None
    outcome: str | None
    device: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocklistPage:
    """Some of those on this user's blocklist, by user id.

    Attributes:
        next: where the next page starts; empty where this is the last.
    """

    users: tuple[str, ...]
    next: bytes
