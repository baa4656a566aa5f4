"""Callbacks and states, as people read them."""

from typing import Any

from ringline.events import (
    Connected,
    Disconnected,
    InvitationCancelled,
    InvitationCreated,
    InvitationDropped,
    InvitationEnded,
    InvitationMissed,
    InvitationModified,
    InvitationState,
    InvitationTaken,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    InviteeRinging,
    NewInvitation,
)
from ringline.group_events import GroupNews
from ringline_broker.cli.printing import as_text, fields, out, out_json, out_timed, printable
from ringline_broker.cli.telling_groups import group_sentence


def tell(name: str, event: Any, *, as_json: bool) -> None:  # noqa: ANN401 - any event
    """Print a callback.

    Args:
        name: the callback's, less the `on_`.
        event: what it was called with.
        as_json: as one JSON object, its fields beside the name.
    """
    if as_json:
        out_json(event=name, **fields(event))
    else:
        out_timed(printable(sentence(name, event)))


def tell_state(state: InvitationState, *, as_json: bool) -> None:
    """Print an invitation's present state."""
    if as_json:
        out_json(**fields(state))
        return
    out(f"id        {printable(state.invite_id)}")
    out(f"state     {'open' + _left(state.time_left) if state.outcome is None else state.outcome}")
    out(f"inviter   {printable(state.inviter)}")
    for number, (user, part) in enumerate(state.invitees.items()):
        out(f"{'' if number else 'invitees':10}{printable(user)}: {part}")
    if state.device is not None:
        out(f"device    {printable(state.device)}")
    if state.data is not None:
        out(f"data      {as_text(state.data)}")


def sentence(name: str, event: Any) -> str:  # noqa: ANN401, C901, PLR0911, PLR0912 - one case an event
    """A callback in words."""
    match event:
        case NewInvitation():
            return _new_invitation(event)
        case InvitationCreated():
            away = f"; no device online: {_list(event.offline)}" if event.offline else ""
            where = _in(event.group_id)
            return f"inviting {_list(event.invitees)}{where} (id {event.invite_id}){away}{_data(event.data)}"
        case InviteeRinging():
            return f"ringing at {event.invitee}{_of(event.invite_id)}"
        case InviteeAccepted():
            return f"accepted by {event.invitee}{_device(event)}{_of(event.invite_id)}{_data(event.data)}"
        case InviteeRejected():
            said = _because(event.reason, event.text)
            return f"rejected by {event.invitee}{_device(event)}{said}{_of(event.invite_id)}{_data(event.data)}"
        case InvitationTaken():
            return f"taken by {event.by}: {_list(event.invitees)} need not answer{_of(event.invite_id)}"
        case InvitationCancelled():
            said = _because(event.reason, event.text)
            whom = f"for {_list(event.invitees)}{said}"
            return f"cancelled by {event.inviter} {whom}{_of(event.invite_id)}{_data(event.data)}"
        case InvitationTimeout():
            return f"timed out: no answer of {_list(event.invitees)}{_of(event.invite_id)}"
        case InvitationDropped():
            return f"dropped for {_list(event.invitees)}{_because(event.reason, '')}{_of(event.invite_id)}"
        case InvitationModified():
            return f"modified{_of(event.invite_id)}{_data(event.data)}"
        case InvitationMissed():
            where = f" on device {event.device}" if event.answered_elsewhere and event.device else ""
            kind = f"{event.part} elsewhere{where}" if event.answered_elsewhere else f"missed, {event.part}"
            whose = f"{event.inviter}{_in(event.group_id)}"
            return f"{kind}: invitation of {whose}{_of(event.invite_id)}{_data(event.data)}"
        case InvitationEnded():
            return f"ended: {event.outcome}{_of(event.invite_id)}"
        case Connected():
            return f"connected as {event.user}, device {event.device}"
        case Disconnected(retry_in=None):
            return f"disconnected: {event.reason}"
        case Disconnected():
            return f"disconnected: {event.reason}; trying again"
        case GroupNews():
            return group_sentence(event)
        case _:
            return f"{name.replace('_', ' ')}: {as_text(fields(event))}"


def _new_invitation(event: NewInvitation) -> str:
    others, where = len(event.invitees) - 1, _in(event.group_id)
    whom = "you" if not others else f"you and {others} other{'s' * (others > 1)}"
    kind = "notice" if event.notice else "ringing"
    if not event.to_me:
        whom, kind = _list(event.invitees), "notice, not for you" if event.notice else "not for you"
    if event.notice:
        return f"{kind}: {event.inviter} tells {whom}{where} (id {event.invite_id}){_data(event.data)}"
    crossing = "; your own to them gives way" if event.crossing else ""
    known = f"(id {event.invite_id}{_left(event.time_left)}){crossing}"
    return f"{kind}: {event.inviter} invites {whom}{where} {known}{_data(event.data)}"


def _left(time_left: float | None) -> str:
    return "" if time_left is None else f", {time_left:.0f} s left"


def _in(group_id: str) -> str:
    return f" in group {group_id}" if group_id else ""


def _of(invite_id: str) -> str:
    return f" (id {invite_id})"


def _data(data: object) -> str:
    return "" if data is None else f" data: {as_text(data)}"


def _list(users: tuple[str, ...]) -> str:
    return ", ".join(users)


def _because(reason: str, text: str) -> str:
    return "".join(f", {word}" for word in (reason, text) if word)


def _device(event: InviteeAccepted | InviteeRejected) -> str:
    return "" if event.device is None else f" on device {event.device}"
