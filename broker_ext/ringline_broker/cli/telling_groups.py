"""Groups, their members and what happens in them, as people read them."""

import time

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
from ringline_broker.cli.printing import as_text, fields, out, out_json, printable

_OF_EVERY_EVENT = set(GroupNews.__dataclass_fields__)


def tell_info(info: GroupInfo, *, as_json: bool) -> None:
    """Print how a group stands."""
    if as_json:
        out_json(**fields(info))
        return
    limit = f" of {info.max_members}" if info.max_members else ""
    lines = {
        "id": info.group_id,
        "preset": info.preset,
        "name": info.name,
        "about": info.introduction,
        "notice": info.notification,
        "face": info.face_url,
        "owner": info.owner or "nobody",
        "admins": ", ".join(info.admins),
        "members": f"{info.member_count}{limit}",
        "join": info.join_option,
        "muted": "all members" if info.all_muted else "",
        "created": _moment(info.created),
        "you": info.role or "no member",
        "custom": as_text(info.custom) if info.custom else "",
    }
    for word, text in lines.items():
        if text:
            out(f"{word:10}{printable(text)}")
    for kind, values in (("attribute", info.attributes), ("counter", info.counters)):
        for key, value in values.items():
            out(f"{kind:10}{printable(key)} = {as_text(value)}")


def tell_attributes(info: GroupInfo, *, as_json: bool) -> None:
    """Print a group's attributes and their version."""
    if as_json:
        out_json(group_id=info.group_id, version=info.attributes_version, attributes=info.attributes)
        return
    for key, value in info.attributes.items():
        out(f"{printable(key)} = {as_text(value)}")
    out(f"version {info.attributes_version}")


def tell_member(group_id: str, member: GroupMember, *, as_json: bool) -> None:
    """Print a member, or somebody who applies."""
    if as_json:
        out_json(group_id=group_id, **fields(member))
        return
    more = f' as "{member.card}"' if member.card else ""
    more += f" since {_moment(member.joined)}"
    more += f", muted for {member.muted} s" if member.muted else ""
    more += f', says "{member.text}"' if member.text else ""
    more += f", custom {as_text(member.custom)}" if member.custom else ""
    out(printable(f"{member.user}: {member.role or 'applies'}{more}"))


def group_sentence(event: GroupNews) -> str:
    """A callback of a group in words."""
    return f"group {event.group_id}: {_what(event)}{_by(event)}"


def _what(event: GroupNews) -> str:  # noqa: C901, PLR0911, PLR0912 - one case an event
    match event:
        case GroupCreated():
            name = f", {event.name}" if event.name else ""
            return f"created as {event.preset}{name}"
        case GroupDismissed():
            return "dismissed"
        case MemberEnter():
            return f"{_list(event.users)} joined"
        case MemberInvited():
            return f"{_list(event.users)} added"
        case MemberLeave():
            return f"{_list(event.users)} quit"
        case MemberKicked():
            return f"{_list(event.users)} removed" + (f", {event.reason}" if event.reason else "")
        case MemberInfoChanged():
            return f"{event.user} {_member_change(event)}"
        case AllGroupMembersMuted():
            return "all members muted" if event.muted else "all members muted no longer"
        case AdministratorGranted():
            return f"{_list(event.users)} made administrator"
        case AdministratorRevoked():
            return f"{_list(event.users)} made administrator no longer"
        case GroupInfoChanged():
            return f"now {_changes(event)}"
        case GroupAttributeChanged():
            kept = [f"{key} = {as_text(value)}" for key, value in event.changed.items()]
            gone = [f"{key} deleted" for key in event.deleted]
            return f"attributes, version {event.version}: {', '.join(kept + gone)}"
        case GroupCounterChanged():
            return f"counter {event.key} = {event.value}"
        case JoinApplication():
            return f"{event.user} applies" + _says(event.text)
        case ApplicationProcessed():
            return f"{event.user} {'accepted' if event.accepted else 'refused'}" + _says(event.text)
        case QuitFromGroup():
            return "you are a member no longer" + (f", {event.reason}" if event.reason else "")
        case GroupState():
            return f"missed more than the server remembers; now {as_text(event.info)}"
        case _:
            return as_text(event)


def _member_change(event: MemberInfoChanged) -> str:
    said = [
        f'is now "{event.card}"' if event.card is not None else "",
        f"has custom {as_text(event.custom)}" if event.custom is not None else "",
    ]
    if event.muted is not None:
        said.append(f"is muted for {event.muted} s" if event.muted else "is muted no longer")
    return ", ".join(filter(None, said)) or "changed"


def _changes(event: GroupInfoChanged) -> str:
    changed = {key: value for key, value in fields(event).items() if key not in _OF_EVERY_EVENT and value is not None}
    return ", ".join(f"{key.replace('_', ' ')} {as_text(value)}" for key, value in changed.items())


def _by(event: GroupNews) -> str:
    if event.by is None:
        return ""
    return f" (by {event.by}{', this device' if event.this_device else ''})"


def _says(text: str) -> str:
    return f', says "{text}"' if text else ""


def _list(users: tuple[str, ...]) -> str:
    return ", ".join(users)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
