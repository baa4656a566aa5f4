"""How users become members, and stop being members."""

from ringline.protocol.errors import ALREADY_MEMBER, BAD_PARAMETER, GROUP_FULL, GROUP_NOT_PERMITTED, NOT_MEMBERS
from ringline.protocol.group_requests import AddMembers, AnswerApplication, JoinGroup, QuitGroup, RemoveMembers
from ringline_broker.engine.groups.draft import DONE, REPEATED, Draft, GroupReply, Pending
from ringline_broker.engine.groups.model import Person, Standing
from ringline_broker.engine.groups.rights import named
from ringline_broker.engine.groups.table import ADMIN
from ringline_broker.engine.step import Refused


def join(draft: Draft, request: JoinGroup) -> GroupReply:
    """Become a member, or apply, as the group's join option says."""
    user, standing = (draft.user,), draft.standing(draft.user)
    if standing is Standing.MEMBER:
        return REPEATED
    if (fault := _entry_fault(draft, user)) is not None:
        return fault
    if draft.group.join == "approval":
        return _apply(draft, request.text)
    if draft.group.join != "free":
        return Refused(GROUP_NOT_PERMITTED, "one becomes a member of this group by being added")
    draft.enter(user)
    draft.add("member_enter", user, users=user)
    return DONE


def _apply(draft: Draft, text: str) -> GroupReply:
    before = draft.people.get(draft.user)
    if before is not None and before.standing is Standing.APPLICANT:
        if before.text == text:
            return Pending(repeated=True)
        draft.put(before._replace(text=text))
    else:
        until = draft.muted_until(draft.user)
        draft.put(Person(draft.user, Standing.APPLICANT, draft.now_ms, until=until, text=text))
    draft.add("application", draft.leaders, for_all=False, user=draft.user, text=text)
    return Pending()


def _entry_fault(draft: Draft, users: tuple[str, ...]) -> Refused | None:
    banned = tuple(user for user in users if draft.standing(user) is Standing.BANNED)
    if banned:
        return Refused(NOT_MEMBERS, f"removed, and cannot come back yet: {named(banned)}", who=banned)
    if not draft.has_room(users):
        return Refused(GROUP_FULL, f"the group may have {draft.group.most} members, and has {draft.group.members}")
    return None


def answer(draft: Draft, request: AnswerApplication) -> GroupReply:
    """Decide on an application."""
    user = (request.user,)
    if draft.is_member(request.user):  # added meanwhile, or by another leader's answer
        return REPEATED if request.ok else Refused(ALREADY_MEMBER, "is a member already; remove them instead", "user")
    if draft.standing(request.user) is not Standing.APPLICANT:
        return Refused(NOT_MEMBERS, f"does not apply: {request.user}", "user", who=user)
    if request.ok and (fault := _entry_fault(draft, user)) is not None:
        return fault
    hear = (*user, *draft.leaders)
    draft.add("application_done", hear, for_all=False, user=request.user, ok=request.ok, text=request.text)
    if request.ok:
        draft.enter(user)
        draft.add("member_enter", user, users=user)
    else:
        draft.forget(request.user)
    return DONE


def add(draft: Draft, request: AddMembers) -> GroupReply:
    """Make users members, without asking them."""
    if not request.to:
        return Refused(BAD_PARAMETER, "names nobody", "to")
    users = tuple(user for user in dict.fromkeys(request.to) if not draft.is_member(user))
    if not users:
        return REPEATED
    if (fault := _entry_fault(draft, users)) is not None:
        return fault
    draft.enter(users)
    draft.add("member_invited", users, users=users)
    return DONE


def leave(draft: Draft, _request: QuitGroup) -> GroupReply:
    """Stop being a member. An owner who may quit leaves the group without one, the last member ends it."""
    user = (draft.user,)
    was_owner = draft.user == draft.group.owner
    draft.leave(user)
    draft.add("member_leave", user, users=user)
    if was_owner:
        draft.group = draft.group._replace(owner="")
    if draft.group.members == 0:
        draft.dismiss()
    elif was_owner:
        draft.add("group_info", owner="")
    return DONE


def remove(draft: Draft, request: RemoveMembers) -> GroupReply:
    """Make members leave, and keep them out for as long as they are banned."""
    if not request.to:
        return Refused(BAD_PARAMETER, "names nobody", "to")
    if draft.user in request.to:
        return Refused(BAD_PARAMETER, "one cannot remove oneself; quit instead", "to")
    if (fault := rank_fault(draft, request.to, "to")) is not None:
        return fault
    users = tuple(user for user in dict.fromkeys(request.to) if draft.is_member(user))
    if not users:
        return REPEATED
    draft.leave(users)
    if request.ban:
        until = draft.now_ms + request.ban * 1000
        for user in users:
            draft.put(Person(user, Standing.BANNED, draft.now_ms, until=until))
    draft.add("member_kicked", users, users=users, reason=request.reason)
    return DONE


def rank_fault(draft: Draft, users: tuple[str, ...], field: str) -> Refused | None:
    """Why this cannot be done to these: nobody does it to the owner, and an administrator to no other."""
    safe = draft.leaders if draft.role == ADMIN else (draft.group.owner,)
    who = tuple(user for user in dict.fromkeys(users) if user in safe)
    if not who:
        return None
    by = "an administrator" if draft.role == ADMIN else "anybody"
    return Refused(GROUP_NOT_PERMITTED, f"cannot be done by {by} to {named(who)}", field, who=who)
