"""The one function that decides: an invitation and a command in, the next version and an answer out."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from ringline.protocol.answers import State
from ringline.protocol.errors import (
    BAD_PARAMETER,
    INVITATION_OVER,
    NOT_PERMITTED,
    TOO_LARGE,
    TOO_MANY_REQUESTS,
    ErrorCode,
)
from ringline.protocol.requests import Accept, Cancel, Invite, Modify, OnInvitation, Reject
from ringline_broker.engine.draft import EVENT_OVERHEAD_BYTES, Draft
from ringline_broker.engine.log import state_for
from ringline_broker.engine.model import Invitation, LogEvent, Outcome, Part, Seat
from ringline_broker.engine.repeats import is_repeat
from ringline_broker.engine.table import RULES, Act, Role, Standing


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server allows; every one is a setting."""

    invitees: int = 100
    record_bytes: int = 262_144
    quiet_limit_ms: int = 86_400_000


class Busy(NamedTuple):
    """An invitee who has the inviter on their blocklist, with the device and request that seem to reject."""

    user: str
    device: str
    re: bytes


class Ask(NamedTuple):
    """A user's request, as a command. `busy`: of an invite's invitees, who does not let this user ring."""

    user: str
    request: OnInvitation
    busy: tuple[Busy, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadline:
    """The extension's own command: the invitation is due."""

    iid: str


@dataclass(frozen=True, slots=True)
class NobodyOnline:
    """The extension's own command: no invitee of an online_only invitation has a device online."""

    iid: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The extension's own command: these users left the group the invitation was made in; None: it is no more.

    Attributes:
        iid: the invitation.
        users: who left; the inviter's leaving settles everybody.
        reason: `left`, `removed` or `dismissed`.
    """

    iid: str
    users: tuple[str, ...] | None
    reason: str


Command = Ask | Deadline | NobodyOnline | Drop


@dataclass(frozen=True, slots=True)
class Done:
    """It was done, now (the events are the answer) or by an earlier copy of the request."""

    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It was refused, and changed nothing.

    Attributes:
        who: the users at fault, where it is some of several.
        wait_ms: after which the same may succeed; None where waiting does not help.
    """

    code: ErrorCode
    text: str
    field: str | None = None
    state: State | None = None
    who: tuple[str, ...] = ()
    wait_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """The present state was asked for."""

    state: State


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass `ringing` on to the inviter; nothing is kept and nobody is answered."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing to do, and nothing to say."""


Reply = Done | Refused | Show | Forward | Silence


class Step(NamedTuple):
    """What became of it. `invitation` is the same object where nothing changed; its events after the old version are
    what is new (see `log.events_since`).
    """

    invitation: Invitation | None
    reply: Reply


def step(invitation: Invitation | None, command: Command, now_ms: int, limits: Limits | None = None) -> Step:
    """Apply one command.

    Args:
        invitation: as it stands, or None where the id is not known.
        command: what is asked.
        now_ms: store time at which the request was read; at or after the deadline it is late, and the deadline is
            applied first.
        limits: what the server allows.
    """
    if invitation is not None and invitation.due is not None and now_ms >= invitation.due:
        invitation = _pass_deadline(invitation, now_ms)
    match command:
        case Deadline():
            return Step(invitation, Silence())
        case NobodyOnline():
            return Step(_nobody_online(invitation, now_ms), Silence())
        case Drop():
            return Step(_drop(invitation, command, now_ms), Silence())
        case Ask():
            return _ask(invitation, command, now_ms, limits or Limits())


def _pass_deadline(invitation: Invitation, now_ms: int) -> Invitation:
    part, ev = (Part.TIMED_OUT, "timed_out") if invitation.timeout else (Part.EXPIRED, "expired")
    return _settle_pending(invitation, part, ev, now_ms)


def _nobody_online(invitation: Invitation | None, now_ms: int) -> Invitation | None:
    if invitation is None or not invitation.pending:
        return invitation
    return _settle_pending(invitation, Part.OFFLINE, "offline", now_ms)


def _drop(invitation: Invitation | None, drop: Drop, now_ms: int) -> Invitation | None:
    if invitation is None:
        return None
    all_of_them = drop.users is None or invitation.inviter in drop.users
    users = tuple(user for user in invitation.pending if all_of_them or user in (drop.users or ()))
    if not users:
        return invitation
    draft = Draft(invitation, now_ms)
    draft.settle(users, Part.DROPPED)
    draft.add("dropped", (invitation.inviter, *users), reason=drop.reason, out=users, gone=drop.users or ())
    return draft.finish()


def _settle_pending(invitation: Invitation, part: Part, ev: str, now_ms: int) -> Invitation:
    draft = Draft(invitation, now_ms)
    users = draft.pending
    draft.settle(users, part)
    draft.add(ev, (invitation.inviter, *users), out=users)
    return draft.finish()


def role_of(invitation: Invitation | None, user: str) -> Role:
    """What a user is to an invitation."""
    if invitation is None:
        return Role.STRANGER
    if user == invitation.inviter:
        return Role.INVITER
    return Role.INVITEE if invitation.is_invitee(user) else Role.STRANGER


_STANDING_OF: Final[dict[Part, Standing]] = {part: Standing(part.value) for part in Part if part is not Part.BLOCKED}


def standing_of(invitation: Invitation | None, user: str) -> Standing:
    """The state a user's operation finds."""
    if invitation is None:
        return Standing.NONE
    if invitation.is_tombstone:
        return Standing.TOMBSTONE
    if invitation.is_invitee(user):
        return _STANDING_OF[invitation.seats[user].part]
    return Standing.OPEN if invitation.end is None else Standing.OVER


def _ask(invitation: Invitation | None, ask: Ask, now_ms: int, limits: Limits) -> Step:
    rule = RULES[ask.request.op, role_of(invitation, ask.user), standing_of(invitation, ask.user)]
    if is_repeat(invitation, ask.user, ask.request):
        return Step(invitation, Done(repeated=True))
    if rule.refusal is not None:
        return Step(invitation, _refuse(invitation, ask, rule.refusal, now_ms))
    match rule.act:
        case Act.FORWARD:
            return Step(invitation, Forward())
        case Act.SHOW if invitation is not None:
            return Step(invitation, Show(state_for(invitation, ask.user, now_ms, with_data=True)))
        case None | Act.IGNORE | Act.SHOW:
            return Step(invitation, Silence())
        case act:
            return _change(invitation, ask, act, rule.becomes, now_ms, limits)


def _change(
    invitation: Invitation | None, ask: Ask, act: Act, becomes: Part | None, now_ms: int, limits: Limits
) -> Step:
    changed = _act(invitation, ask, act, becomes or Part.PENDING, now_ms, limits)
    if isinstance(changed, Refused):
        return Step(invitation, changed)
    # answers and cancels without data always fit, so that it can end; there are only as many as invitees
    may_be_refused = act is Act.REPLACE_DATA or bool(getattr(ask.request, "data", None))
    if changed.size > limits.record_bytes and may_be_refused:
        text = f"the invitation's record would exceed {limits.record_bytes} bytes; send less data"
        return Step(invitation, Refused(TOO_LARGE, text, "data"))
    return Step(changed, Done())


def _act(
    invitation: Invitation | None, ask: Ask, act: Act, becomes: Part, now_ms: int, limits: Limits
) -> Invitation | Refused:
    match act, ask.request, invitation:
        case Act.CREATE, Invite() as invite, _:
            return _create(invitation, ask, invite, now_ms, limits)
        case Act.BURY, cancel, None:
            return _bury(ask.user, cancel, now_ms)
        case Act.SETTLE_SELF, Accept() | Reject() as answer, Invitation():
            return _settle_self(invitation, ask.user, answer, becomes, now_ms)
        case Act.SETTLE_OTHERS, Cancel() as cancel, Invitation():
            return _settle_others(invitation, ask, cancel, becomes, now_ms)
        case Act.REPLACE_DATA, Modify() as modify, Invitation():
            return _replace_data(invitation, ask.user, modify, now_ms)
        case _:
            raise AssertionError(f"the table gives {act} to {ask.request.op}, which cannot be")


_WHY = {
    "unknown_invitation": "no invitation has this id, or it has been over for long",
    "invitation_over": "this was settled before",
    "not_permitted": "only {allowed} may do this",
    "already_exists": "another invitation has this id; make a new random one",
}
_ALLOWED = {
    "accept": "a pending invitee",
    "reject": "a pending invitee",
    "cancel": "the inviter",
    "modify": "the inviter",
    "get": "a party of the invitation",
}


def _refuse(invitation: Invitation | None, ask: Ask, code: ErrorCode, now_ms: int) -> Refused:
    text = _WHY[code.name].format(allowed=_ALLOWED.get(ask.request.op, ""))
    if invitation is None or not invitation.is_party(ask.user):
        return Refused(code, text)
    state = state_for(invitation, ask.user, now_ms, with_data=False)
    if code is INVITATION_OVER:
        text = _say_over(invitation, ask.user)
    return Refused(code, text, state=state)


def _say_over(invitation: Invitation, user: str) -> str:
    seat = invitation.seats.get(user)
    if seat is None:
        return f"the invitation is over: {invitation.end}"
    if seat.device is not None:
        return f"already {seat.part.value} on device {seat.device}"
    return f"already settled: {seat.part.value}"


def _create(
    invitation: Invitation | None, ask: Ask, request: Invite, now_ms: int, limits: Limits
) -> Invitation | Refused:
    user = ask.user
    if (fault := _invite_fault(user, request, limits)) is not None:
        return fault
    is_notice = request.answers == 0
    users = tuple(dict.fromkeys(request.to))
    lasts_ms = request.timeout * 1000 or limits.quiet_limit_ms
    fresh = Invitation(
        iid=request.iid,
        inviter=user,
        seats={name: Seat(Part.NOTIFIED if is_notice else Part.PENDING) for name in users},
        n=0 if invitation is None else invitation.n,
        data=request.data,
        answers=request.answers,
        audience=request.audience,
        online_only=request.online_only,
        timeout=request.timeout,
        created=now_ms,
        due=now_ms + lasts_ms,
        gid=request.gid,
    )
    draft = Draft(fresh, now_ms, user, request.dev, request.id)
    refusing = {busy.user for busy in ask.busy}
    draft.settle(refusing, Part.BLOCKED)
    draft.add("invited", (user, *(name for name in users if name not in refusing)), data=request.data)
    if not is_notice:
        for busy in ask.busy:
            draft.add("rejected", (user,), reason="busy", made_by=busy)
    return draft.finish()


def _invite_fault(user: str, request: Invite, limits: Limits) -> Refused | None:
    if not request.to:
        return Refused(BAD_PARAMETER, "names nobody to invite", "to")
    if user in request.to:
        return Refused(BAD_PARAMETER, "one cannot invite oneself", "to")
    if len(set(request.to)) > limits.invitees:
        return Refused(TOO_MANY_REQUESTS, f"at most {limits.invitees} invitees", "to")
    if request.audience not in ("", "parties"):
        return Refused(BAD_PARAMETER, "must be `parties` or left out", "audience")
    return None


def _bury(user: str, request: OnInvitation, now_ms: int) -> Invitation:
    end = Outcome.CANCELLED
    event = LogEvent(1, "cancelled", now_ms, (), user, request.dev, request.id, end)
    size = EVENT_OVERHEAD_BYTES
    return Invitation(request.iid, user, {}, n=1, created=now_ms, end=end, ended=now_ms, size=size, events=(event,))


def _settle_self(
    invitation: Invitation, user: str, request: Accept | Reject, becomes: Part, now_ms: int
) -> Invitation:
    draft = Draft(invitation, now_ms, user, request.dev, request.id)
    draft.settle((user,), becomes, request.dev)
    both = (invitation.inviter, user)
    if isinstance(request, Reject):
        draft.add("rejected", both, data=request.data, reason=request.reason, text=request.text)
        return draft.finish()
    draft.add("accepted", both, data=request.data)
    late = draft.pending
    if late and draft.count(Part.ACCEPTED) == invitation.answers:
        draft.settle(late, Part.TAKEN)
        draft.add("taken", (invitation.inviter, *late), out=late)
    return draft.finish()


def _settle_others(
    invitation: Invitation, ask: Ask, request: Cancel, becomes: Part, now_ms: int
) -> Invitation | Refused:
    strangers = [user for user in request.to if user not in invitation.seats]
    if strangers:
        return Refused(BAD_PARAMETER, f"not invited: {', '.join(strangers[:5])}", "to")
    users = tuple(user for user in invitation.pending if not request.to or user in request.to)
    if not users:
        return _refuse(invitation, ask, INVITATION_OVER, now_ms)
    draft = Draft(invitation, now_ms, ask.user, request.dev, request.id)
    draft.settle(users, becomes)
    to = (invitation.inviter, *users)
    draft.add("cancelled", to, data=request.data, reason=request.reason, text=request.text, out=users)
    return draft.finish()


def _replace_data(invitation: Invitation, user: str, request: Modify, now_ms: int) -> Invitation | Refused:
    if invitation.online_only:
        return Refused(NOT_PERMITTED, "an online_only invitation cannot be modified")
    draft = Draft(invitation, now_ms, user, request.dev, request.id)
    draft.replace_data(request.data)
    hear = tuple(u for u, seat in invitation.seats.items() if seat.part in (Part.PENDING, Part.ACCEPTED))
    draft.add("modified", (invitation.inviter, *hear), data=request.data)
    return draft.finish()
