"""Which group event becomes which callback, and how a group looks to the application."""

from collections.abc import Callable
from typing import Any, Final

from ringline.core.callbacks import Callback
from ringline.data import Value, unpack_fields
from ringline.group_events import (
    AdministratorGranted,
    AdministratorRevoked,
    AllGroupMembersMuted,
    ApplicationProcessed,
    GroupAttributeChanged,
    GroupCounterChanged,
    GroupCreated,
    GroupDismissed,
    GroupInfo,
    GroupInfoChanged,
    GroupMember,
    GroupNews,
    GroupState,
    JoinApplication,
    MemberEnter,
    MemberInfoChanged,
    MemberInvited,
    MemberKicked,
    MemberLeave,
    QuitFromGroup,
)
from ringline.protocol import group_events as told
from ringline.protocol import group_states
from ringline.protocol.shapes import GroupEvent


def info_of(state: group_states.GroupState) -> GroupInfo:
    """A group that the server shows."""
    return GroupInfo(
        group_id=state.gid,
        preset=state.preset,
        owner=state.owner,
        admins=state.admins,
        name=state.name,
        introduction=state.introduction,
        notification=state.notification,
        face_url=state.face,
        custom=unpack_fields(state.custom or {}),
        max_members=state.most,
        join_option=state.join,
        member_count=state.count,
        all_muted=state.muted,
        created=state.created / 1000,
        attributes=unpack_fields(state.attributes or {}),
        attributes_version=state.attributes_n,
        counters=dict(state.counters or {}),
        role=state.role,
    )


def member_of(state: group_states.MemberState) -> GroupMember:
    """A member, or somebody who applies, that the server shows."""
    return GroupMember(
        user=state.user,
        role=state.role,
        card=state.card,
        custom=unpack_fields(state.custom or {}),
        joined=state.joined / 1000,
        muted=state.muted,
        text=state.text,
    )


def group_state(state: group_states.GroupState) -> Callback:
    """More was missed than the server remembers."""
    return Callback("on_group_state", GroupState(group_id=state.gid, info=info_of(state)))


def gone(gid: str) -> Callback:
    """This user is a member no longer, and nobody heard why."""
    return Callback("on_quit_from_group", QuitFromGroup(group_id=gid, reason="gone"))


Head = dict[str, Any]
"""What every event says."""


def of_group_event(event: GroupEvent, user: str, device: str) -> Callback | None:
    """What an event of a group is heard as; None for a kind nobody knows."""
    head: Head = {
        "group_id": event.gid,
        "by": event.by,
        "device": event.dev,
        "this_device": event.by == user and event.dev == device,
    }
    if isinstance(event, told.MemberLeave) and user in event.users:
        return Callback("on_quit_from_group", QuitFromGroup(**head))
    if (found := _HEARD_AS.get(type(event))) is None:
        return None
    method, make = found
    return Callback(method, make(event, head))


def _fields(packed: dict[str, bytes] | None) -> dict[str, Value] | None:
    return None if packed is None else unpack_fields(packed)


def _info_changed(event: told.GroupInfoChanged, head: Head) -> GroupInfoChanged:
    return GroupInfoChanged(
        **head,
        name=event.name,
        introduction=event.introduction,
        notification=event.notification,
        face_url=event.face,
        custom=_fields(event.custom),
        max_members=event.most,
        join_option=event.join,
        owner=event.owner,
    )


_HEARD_AS: Final[dict[type[GroupEvent], tuple[str, Callable[[Any, Head], GroupNews]]]] = {
    told.GroupCreated: (
        "on_group_created", lambda event, head: GroupCreated(**head, preset=event.preset, name=event.name)
    ),
    told.GroupDismissed: ("on_group_dismissed", lambda _, head: GroupDismissed(**head)),
    told.MemberEnter: ("on_member_enter", lambda event, head: MemberEnter(**head, users=event.users)),
    told.MemberInvited: ("on_member_invited", lambda event, head: MemberInvited(**head, users=event.users)),
    told.MemberLeave: ("on_member_leave", lambda event, head: MemberLeave(**head, users=event.users)),
    told.MemberKicked: (
        "on_member_kicked", lambda event, head: MemberKicked(**head, users=event.users, reason=event.reason)
    ),
    told.MemberChanged: (
        "on_member_info_changed",
        lambda event, head: MemberInfoChanged(
            **head, user=event.user, card=event.card, custom=_fields(event.custom), muted=event.muted
        ),
    ),
    told.AllMuted: ("on_all_group_members_muted", lambda event, head: AllGroupMembersMuted(**head, muted=event.on)),
    told.AdminsGranted: (
        "on_grant_administrator", lambda event, head: AdministratorGranted(**head, users=event.users)
    ),
    told.AdminsRevoked: (
        "on_revoke_administrator", lambda event, head: AdministratorRevoked(**head, users=event.users)
    ),
    told.GroupInfoChanged: ("on_group_info_changed", _info_changed),
    told.AttributesChanged: (
        "on_group_attribute_changed",
        lambda event, head: GroupAttributeChanged(
            **head, changed=unpack_fields(event.put or {}), deleted=event.drop, version=event.n
        ),
    ),
    told.CounterChanged: (
        "on_group_counter_changed",
        lambda event, head: GroupCounterChanged(**head, key=event.key, value=event.value),
    ),
    told.Application: (
        "on_receive_join_application", lambda event, head: JoinApplication(**head, user=event.user, text=event.text)
    ),
    told.ApplicationDone: (
        "on_application_processed",
        lambda event, head: ApplicationProcessed(**head, user=event.user, accepted=event.ok, text=event.text),
    ),
}  # fmt: skip
