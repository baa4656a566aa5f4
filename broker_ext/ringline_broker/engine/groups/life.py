"""How a group begins and ends."""

from ringline.protocol.errors import BAD_PARAMETER, GROUP_EXISTS, GROUP_FULL, GROUP_NOT_PERMITTED
from ringline.protocol.group_requests import CreateGroup, DismissGroup
from ringline.protocol.group_shapes import JOIN_OPTIONS, PRESETS
from ringline_broker.engine.groups.draft import DONE, REPEATED, Draft, GroupLimits, GroupReply, GroupStep
from ringline_broker.engine.groups.model import EMPTY, Group, GroupView
from ringline_broker.engine.groups.table import DEFAULT_JOIN, FIXED_JOIN, MAY, NOBODY
from ringline_broker.engine.step import Refused


def create(view: GroupView, user: str, request: CreateGroup, now_ms: int, limits: GroupLimits) -> GroupStep:
    """Make the group, with its first members."""
    if request.preset not in PRESETS:
        return GroupStep(view, {}, Refused(BAD_PARAMETER, f"must be one of {', '.join(PRESETS)}", "preset"))
    group = _made(user, request, now_ms, limits)
    others = tuple(one for one in dict.fromkeys(request.to) if one != user)
    if view.group is not None:
        is_same = all(map(view.is_member, (user, *others))) and _settings(view.group) == _settings(group)
        reply = REPEATED if is_same else Refused(GROUP_EXISTS, "a group has this id, or had it; choose another", "gid")
        return GroupStep(view, {}, reply)
    if (fault := _create_fault(group, others, limits)) is not None:
        return GroupStep(view, {}, fault)
    draft = Draft(view, group, user, (request.dev, request.id), now_ms, limits)
    draft.enter((user, *others))
    draft.add("group_created", (user,), for_all=False, preset=group.preset, name=group.name)
    if others:
        draft.add("member_invited", others, users=others)
    return draft.finish(DONE)


def _made(user: str, request: CreateGroup, now_ms: int, limits: GroupLimits) -> Group:
    return Group(
        gid=request.gid,
        preset=request.preset,
        owner=user,
        maker=user,
        created=now_ms,
        name=request.name,
        introduction=request.introduction,
        notification=request.notification,
        face=request.face,
        custom=request.custom or EMPTY,
        most=request.most or limits.most.get(request.preset, 0),
        join=request.join or DEFAULT_JOIN[request.preset],
    )


def _settings(group: Group) -> tuple[object, ...]:
    """What a group was made with: whoever makes the same again repeats themselves."""
    return (
        group.owner, group.preset, group.name, group.introduction, group.notification, group.face, dict(group.custom),
        group.most, group.join,
    )  # fmt: skip


def _create_fault(group: Group, others: tuple[str, ...], limits: GroupLimits) -> Refused | None:
    if (fault := most_fault(group, limits) or join_fault(group)) is not None:
        return fault
    if others and MAY["group_add", group.preset] == NOBODY:
        return Refused(GROUP_NOT_PERMITTED, f"nobody may add members to a {group.preset} group", "to")
    if group.most and 1 + len(others) > group.most:
        return Refused(GROUP_FULL, f"the group may have {group.most} members", "to")
    return None


def most_fault(group: Group, limits: GroupLimits) -> Refused | None:
    """Why the group may not be allowed so many members."""
    limit = limits.most.get(group.preset, 0)
    if limit and not 0 < group.most <= limit:
        return Refused(BAD_PARAMETER, f"a {group.preset} group may have at most {limit} members", "max")
    if group.most and group.most < group.members:
        return Refused(BAD_PARAMETER, f"the group has {group.members} members already", "max")
    return None


def join_fault(group: Group) -> Refused | None:
    """Why the group may not have this join option."""
    if group.join not in JOIN_OPTIONS:
        return Refused(BAD_PARAMETER, f"must be one of {', '.join(JOIN_OPTIONS)}", "join")
    if group.preset in FIXED_JOIN and group.join != DEFAULT_JOIN[group.preset]:
        text = f"a {group.preset} group always has the join option {DEFAULT_JOIN[group.preset]}"
        return Refused(GROUP_NOT_PERMITTED, text, "join")
    return None


def dismiss(draft: Draft, _request: DismissGroup) -> GroupReply:
    """End the group for everybody."""
    draft.dismiss()
    return DONE
