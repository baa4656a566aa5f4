"""What an answer of the server is to whoever asked: what was asked for, or an error."""

from collections.abc import Iterable
from typing import TypeVar

from ringline.core.group_callbacks import info_of, member_of
from ringline.core.lanes import Waiting
from ringline.data import unpack_data
from ringline.errors import SignalingError
from ringline.events import BlocklistPage, InvitationState
from ringline.group_events import GroupMember, GroupPage, MemberPage
from ringline.protocol.answers import Answer, Refusal, State
from ringline.protocol.blocklist_requests import ListBlocked
from ringline.protocol.errors import BAD_PARAMETER, NO_ANSWER, NOT_CONNECTED, ProtocolError
from ringline.protocol.group_requests import CreateGroup, GetGroup, JoinGroup, ListApplications, ListGroups, ListMembers
from ringline.protocol.group_states import MEMBER
from ringline.protocol.requests import Get
from ringline.protocol.shapes import Request

_T = TypeVar("_T")


def result_of(request: Request, answer: Answer) -> object:
    """What was asked for; None where it was simply done.

    Raises:
        ProtocolError: the answer does not have it.
    """
    match request:
        case Get():
            return state_of(_given(answer.state))
        case CreateGroup() | GetGroup():
            return info_of(_given(answer.group))
        case JoinGroup():
            return not answer.pending
        case ListMembers() | ListApplications():
            return MemberPage(members=tuple(_members(answer.members)), next=answer.next)
        case ListGroups():
            return GroupPage(groups=tuple(sorted(answer.groups or ())), next=answer.next)
        case ListBlocked():
            return BlocklistPage(users=answer.users, next=answer.next)
        case _:
            return None


def _given(value: _T | None) -> _T:
    if value is None:
        raise ProtocolError(BAD_PARAMETER, "the server's answer lacks what was asked for")
    return value


def _members(raw: Iterable[object]) -> Iterable[GroupMember]:
    return (member_of(MEMBER.decode(one)) for one in raw)


def state_of(state: State) -> InvitationState:
    """The state of an invitation that the server shows."""
    return InvitationState(
        invite_id=state.iid,
        inviter=state.by,
        invitees=dict(state.to or {}),
        data=unpack_data(state.data),
        time_left=None if state.ttl is None else state.ttl / 1000,
        outcome=state.end,
        device=state.dev,
    )


def error_of(refusal: Refusal) -> SignalingError:
    """The error that a refusal is."""
    state = None if refusal.state is None else state_of(refusal.state)
    retry_after = None if refusal.wait is None else refusal.wait / 1000
    return SignalingError(refusal.code, refusal.name, refusal.text, refusal.field, state, refusal.who, retry_after)


def given_up(waiting: Waiting) -> SignalingError:
    """The error that it is when a request's time is over."""
    if waiting.refused is not None:
        return error_of(waiting.refused)
    return SignalingError.local(NO_ANSWER if waiting.sends else NOT_CONNECTED)


def unreadable(fault: ProtocolError) -> SignalingError:
    """The error that an answer is that lacks something."""
    return SignalingError(fault.code.code, fault.code.name, fault.text, fault.field)
