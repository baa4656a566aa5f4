"""The one function that decides about groups: a group and a request in, the next version and a reply out."""

from collections.abc import Callable
from typing import Any, Final

from ringline.protocol.group_requests import (
    AddMembers,
    AnswerApplication,
    Count,
    CreateGroup,
    DismissGroup,
    JoinGroup,
    MuteAll,
    MuteMember,
    OnGroup,
    QuitGroup,
    RemoveMembers,
    SetAttributes,
    SetGroupInfo,
    SetMyInfo,
    SetRole,
    TransferGroup,
)
from ringline_broker.engine.groups import life, membership, settings, shared
from ringline_broker.engine.groups.draft import REPEATED, Draft, GroupLimits, GroupReply, GroupStep, Pending
from ringline_broker.engine.groups.model import GroupView
from ringline_broker.engine.groups.rights import UNKNOWN, permission_fault, role_of
from ringline_broker.engine.step import Done

_ACTS: Final[dict[type[OnGroup], Callable[[Draft, Any], GroupReply]]] = {
    DismissGroup: life.dismiss,
    JoinGroup: membership.join,
    QuitGroup: membership.leave,
    AddMembers: membership.add,
    RemoveMembers: membership.remove,
    AnswerApplication: membership.answer,
    SetRole: settings.set_role,
    TransferGroup: settings.transfer,
    SetGroupInfo: settings.set_info,
    SetMyInfo: settings.set_own_info,
    MuteMember: settings.mute,
    MuteAll: settings.mute_all,
    SetAttributes: shared.set_attributes,
    Count: shared.count,
}
"""What every request does that changes a group which stands."""


def users_of(user: str, request: OnGroup) -> tuple[str, ...]:
    """The users whose rows a request needs: who asks, and those it names."""
    match request:
        case CreateGroup() | AddMembers() | RemoveMembers():
            return tuple(dict.fromkeys((user, *request.to)))
        case SetRole() | TransferGroup() | MuteMember() | AnswerApplication():
            return tuple(dict.fromkeys((user, request.user)))
        case _:
            return (user,)


def group_step(
    view: GroupView, user: str, request: OnGroup, now_ms: int, limits: GroupLimits | None = None
) -> GroupStep:
    """Apply one request that changes a group.

    Args:
        view: the group as it stands, with the rows of `users_of` this request.
        user: who asks.
        request: what is asked; one that only asks is `view_fault`'s.
        now_ms: store time at which the request was read.
        limits: what the server allows.
    """
    limits = limits or GroupLimits()
    if (reply := _repeat(view, user, request)) is not None:
        return GroupStep(view, {}, reply)
    if isinstance(request, CreateGroup):
        return life.create(view, user, request, now_ms, limits)
    act, group = _ACTS[type(request)], view.group
    if group is None or group.dismissed is not None:
        return GroupStep(view, {}, UNKNOWN)
    if (fault := permission_fault(group, request.op, role_of(view, user))) is not None:
        return GroupStep(view, {}, fault)
    draft = Draft(view, group, user, (request.dev, request.id), now_ms, limits)
    reply = act(draft, request)
    is_change = isinstance(reply, Done | Pending) and not reply.repeated
    return draft.finish(reply) if is_change else GroupStep(view, {}, reply)


def _repeat(view: GroupView, user: str, request: OnGroup) -> GroupReply | None:
    """What an earlier copy of the request brought about, as far as the log goes back."""
    events = () if view.group is None else view.group.events
    same = [event.by for event in events if event.re == request.id]  # a list: the log is long, and seldom has it
    if user not in same:
        return None
    if isinstance(request, JoinGroup) and not view.is_member(user):
        return Pending(repeated=True)  # also where it was refused since: that they have heard
    return REPEATED
