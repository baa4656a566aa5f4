"""Who may: what a user is to a group, and why not."""

from collections.abc import Collection

from ringline.protocol.errors import (
    BAD_PARAMETER,
    GROUP_NOT_PERMITTED,
    MUTED,
    NOT_MEMBERS,
    OWNER_CANNOT_QUIT,
    UNKNOWN_GROUP,
)
from ringline.protocol.group_requests import ListMembers, OnGroup, SyncGroup
from ringline.protocol.group_shapes import ROLES
from ringline_broker.engine.groups.model import Group, GroupView, Person
from ringline_broker.engine.groups.table import ADMIN, LEADERS, MAY, MEMBER, NOBODY, OWNER, STRANGER, THE_OWNER
from ringline_broker.engine.step import Refused

UNKNOWN = Refused(UNKNOWN_GROUP, "no group has this id, or it was dismissed")
_NAMED_AT_MOST = 5
_WORDS = {NOBODY: "nobody", THE_OWNER: "only the owner", LEADERS: "only the owner and administrators"}
_YOU_ARE = {OWNER: "the owner", ADMIN: "an administrator", MEMBER: "a member", STRANGER: "no member"}


def role_of(view: GroupView, user: str) -> str:
    """What a user is in the group: `owner`, `admin`, `member`, or empty for no member."""
    if view.group is None or not view.is_member(user):
        return STRANGER
    return rank_of(view.group, user)


def rank_of(group: Group, member: str) -> str:
    """The role of somebody who is known to be a member."""
    if member == group.owner:
        return OWNER
    return ADMIN if member in group.admins else MEMBER


def muted_until(group: Group, person: Person) -> int:
    """Store time before which a member may not invite. The owner always may, or nobody could lift it."""
    return 0 if person.user == group.owner else person.until


def permission_fault(group: Group, op: str, role: str) -> Refused | None:
    """Why this role may not do this in this group."""
    allowed = MAY[op, group.preset]
    if role in allowed:
        return None
    if op == "group_quit" and role == OWNER:
        return Refused(OWNER_CANNOT_QUIT, "the owner has to transfer the group first, or to dismiss it")
    who = _WORDS.get(allowed, "only members")
    return Refused(GROUP_NOT_PERMITTED, f"{op} in a {group.preset} group: {who} may, and you are {_YOU_ARE[role]}")


def view_fault(view: GroupView, user: str, request: OnGroup) -> Refused | None:
    """Why a request that only asks is refused; None where it may be answered."""
    group, role = view.group, role_of(view, user)
    if group is None or group.dismissed is not None:
        return UNKNOWN
    if isinstance(request, SyncGroup) and role == STRANGER:
        return UNKNOWN  # who was removed is told what everybody else is told
    if isinstance(request, ListMembers) and request.role not in ("", *ROLES):
        return Refused(BAD_PARAMETER, f"must be one of {', '.join(ROLES)}, or left out", "role")
    return permission_fault(group, request.op, role)


def invite_fault(view: GroupView, user: str, invitees: Collection[str], now_ms: int) -> Refused | None:
    """Why a user may not invite these in the group; None where they may."""
    group, person = view.group, view.people.get(user)
    if group is None or group.dismissed is not None:
        return UNKNOWN
    if person is None or not view.is_member(user):
        return Refused(GROUP_NOT_PERMITTED, "only members invite in a group, and you are no member", "gid")
    if muted_until(group, person) > now_ms:
        return Refused(MUTED, "you are muted in this group")
    if group.muted and rank_of(group, user) == MEMBER:
        return Refused(MUTED, "all members of this group are muted")
    members = members_among(view, invitees)
    return not_members([one for one in invitees if one not in members], "to")


def members_among(view: GroupView, users: Collection[str]) -> tuple[str, ...]:
    """Those of the users who are members, in their order and each once."""
    return tuple(user for user in dict.fromkeys(users) if view.is_member(user))


def not_members(users: Collection[str], field: str) -> Refused | None:
    """The refusal that names those who are no members; None where there are none."""
    who = tuple(dict.fromkeys(users))
    return Refused(NOT_MEMBERS, f"no members: {named(who)}", field, who=who) if who else None


def named(users: Collection[str]) -> str:
    """Some of the users, as a text may name them."""
    names = list(users)
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
