"""What a group and its members show, who leads it, and who is muted."""

from typing import Any

from ringline.protocol.errors import BAD_PARAMETER, TOO_MANY_REQUESTS
from ringline.protocol.group_requests import MuteAll, MuteMember, SetGroupInfo, SetMyInfo, SetRole, TransferGroup
from ringline_broker.engine.groups.draft import DONE, REPEATED, Draft, GroupReply
from ringline_broker.engine.groups.life import join_fault, most_fault
from ringline_broker.engine.groups.membership import rank_fault
from ringline_broker.engine.groups.model import MAX_ADMINS, Person
from ringline_broker.engine.groups.rights import not_members
from ringline_broker.engine.groups.table import ADMIN, MEMBER
from ringline_broker.engine.step import Refused


def _member(draft: Draft, user: str) -> Person | Refused:
    """The row of the member that a request names."""
    return not_members(() if draft.is_member(user) else (user,), "user") or draft.people[user]


def set_role(draft: Draft, request: SetRole) -> GroupReply:
    """Make a member an administrator, or an administrator a member."""
    admins, user = draft.group.admins, request.user
    if request.role not in (ADMIN, MEMBER):
        return Refused(BAD_PARAMETER, f"must be {ADMIN} or {MEMBER}", "role")
    if user == draft.group.owner:
        return Refused(BAD_PARAMETER, "is the owner; transfer the group instead", "user")
    if isinstance(person := _member(draft, user), Refused):
        return person
    if (request.role == ADMIN) == (user in admins):
        return REPEATED
    if request.role == ADMIN and len(admins) >= MAX_ADMINS:
        return Refused(TOO_MANY_REQUESTS, f"a group has at most {MAX_ADMINS} administrators", "user")
    if request.role == ADMIN:
        draft.group = draft.group._replace(admins=(*admins, user))
        draft.add("admin_granted", users=(user,))
    else:
        draft.group = draft.group._replace(admins=tuple(one for one in admins if one != user))
        draft.add("admin_revoked", users=(user,))
    return DONE


def transfer(draft: Draft, request: TransferGroup) -> GroupReply:
    """Make another member the owner; who was it becomes a plain member."""
    if request.user == draft.group.owner:
        return REPEATED
    if isinstance(person := _member(draft, request.user), Refused):
        return person
    admins = tuple(one for one in draft.group.admins if one != request.user)
    draft.group = draft.group._replace(owner=request.user, admins=admins)
    draft.add("group_info", owner=request.user)
    return DONE


def set_info(draft: Draft, request: SetGroupInfo) -> GroupReply:
    """Change what the group says of itself; only what differs is told."""
    most = request.most
    if most == 0:
        most = draft.limits.most.get(draft.group.preset, 0)
    wanted: dict[str, Any] = {
        "name": request.name,
        "introduction": request.introduction,
        "notification": request.notification,
        "face": request.face,
        "custom": request.custom,
        "most": most,
        "join": request.join,
    }
    changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(draft.group, key)}
    if not changes:
        return REPEATED
    group = draft.group._replace(**changes)
    if "most" in changes and (fault := most_fault(group, draft.limits)) is not None:
        return fault
    if "join" in changes and (fault := join_fault(group)) is not None:
        return fault
    draft.group = group
    draft.add("group_info", **changes)
    return DONE


def set_own_info(draft: Draft, request: SetMyInfo) -> GroupReply:
    """Change what the group shows of oneself; only what differs is told."""
    person = draft.people[draft.user]
    wanted: dict[str, Any] = {"card": request.card, "custom": request.custom}
    changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(person, key)}
    if not changes:
        return REPEATED
    draft.put(person._replace(**changes))
    draft.add("member_info", user=draft.user, **changes)
    return DONE


def mute(draft: Draft, request: MuteMember) -> GroupReply:
    """Keep a member from inviting for some seconds, or no longer."""
    if isinstance(person := _member(draft, request.user), Refused):
        return person
    if (fault := rank_fault(draft, (request.user,), "user")) is not None:
        return fault
    until = draft.now_ms + request.seconds * 1000
    if until == person.until or max(until, person.until) <= draft.now_ms:
        return REPEATED
    draft.put(person._replace(until=until if request.seconds else 0))
    draft.add("member_info", user=request.user, muted=request.seconds)
    return DONE


def mute_all(draft: Draft, request: MuteAll) -> GroupReply:
    """Keep all plain members from inviting, or no longer."""
    if request.on == draft.group.muted:
        return REPEATED
    draft.group = draft.group._replace(muted=request.on)
    draft.add("all_muted", on=request.on)
    return DONE
