"""The messages of groups: requests, events, and what answers carry of a group and its members."""

from typing import Final

from ringline.protocol.codec import Codec, message, wire
from ringline.protocol.limits import (
    MAX_CURSOR_BYTES,
    MAX_INT,
    MAX_KNOWN,
    Bin,
    Flag,
    Id,
    Int,
    ListOf,
    MapOf,
    Text,
)
from ringline.protocol.shapes import REASON, TEXT, USERS, GroupEvent, Request

PRESETS: Final = ("work", "public", "meeting", "live")
JOIN_OPTIONS: Final = ("free", "approval", "invite")
ROLES: Final = ("owner", "admin", "member")

MAX_NAME_BYTES: Final = 100
MAX_INTRODUCTION_BYTES: Final = 400
MAX_FACE_BYTES: Final = 500
MAX_CARD_BYTES: Final = 50
MAX_CUSTOM_KEYS: Final = 16
MAX_CUSTOM_BYTES: Final = 512
"""One custom field's value, bytes."""
MAX_ATTRIBUTES: Final = 16
MAX_ATTRIBUTE_BYTES: Final = 4_096
MAX_ATTRIBUTES_BYTES: Final = 16_384
"""All keys and values together, bytes."""
MAX_COUNTERS: Final = 16
MAX_BAN_S: Final = 31_536_000
MAX_GROUP_MEMBERS: Final = 1_000_000

_NAME: Final = Text(MAX_NAME_BYTES)
_INTRODUCTION: Final = Text(MAX_INTRODUCTION_BYTES)
_FACE: Final = Text(MAX_FACE_BYTES)
_CARD: Final = Text(MAX_CARD_BYTES)
_WORD: Final = Text(16)
_CUSTOM: Final = MapOf(Bin(MAX_CUSTOM_BYTES), MAX_CUSTOM_KEYS)
_ATTRIBUTES: Final = MapOf(Bin(MAX_ATTRIBUTE_BYTES), MAX_ATTRIBUTES)
_COUNT: Final = Int(-MAX_INT, MAX_INT)
_CURSOR: Final = Bin(MAX_CURSOR_BYTES)


# Requests. Every one is answered on the device's own topic; what it changed is also heard as events.


@message
class OnGroup(Request):
    """What every request about one group carries."""

    gid: str = wire("gid", Id(), "The group.")


@message
class CreateGroup(OnGroup):
    """Make a group, with an id of the client's choice; who makes it owns it."""

    op = "group_create"

    preset: str = wire("preset", _WORD, "`work`, `public`, `meeting` or `live`: what members may do by default.")
    name: str = wire("name", _NAME, "For people.", default="")
    introduction: str = wire("intro", _INTRODUCTION, "For people.", default="")
    notification: str = wire("notice", _INTRODUCTION, "For people.", default="")
    face: str = wire("face", _FACE, "URL of a picture.", default="")
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "The application's fields.", default=None)
    most: int = wire("max", Int(0, MAX_GROUP_MEMBERS), "Members it may have; 0: what the preset allows.", default=0)
    join: str = wire("join", _WORD, "`free`, `approval` or `invite`; left out: the preset's.", default="")
    to: tuple[str, ...] = wire("to", USERS, "Members from the start, beside the owner.", default=())


@message
class DismissGroup(OnGroup):
    """End the group for everybody."""

    op = "group_dismiss"


@message
class JoinGroup(OnGroup):
    """Become a member, or apply for it."""

    op = "group_join"

    text: str = wire("text", TEXT, "For who decides, where it takes approval.", default="")


@message
class QuitGroup(OnGroup):
    """Stop being a member."""

    op = "group_quit"


@message
class AddMembers(OnGroup):
    """Make users members, without asking them."""

    op = "group_add"

    to: tuple[str, ...] = wire("to", USERS, "The users; who is a member already is passed over.")


@message
class RemoveMembers(OnGroup):
    """Make members leave."""

    op = "group_remove"

    to: tuple[str, ...] = wire("to", USERS, "The members; who is none is passed over.")
    reason: str = wire("why", REASON, "The application's own word.", default="")
    ban: int = wire("ban", Int(0, MAX_BAN_S), "Seconds for which they cannot come back.", default=0)


@message
class SetRole(OnGroup):
    """Make a member an administrator, or an administrator a member."""

    op = "group_role"

    user: str = wire("user", Id(), "The member.")
    role: str = wire("role", _WORD, "`admin` or `member`.")


@message
class TransferGroup(OnGroup):
    """Make another member the owner."""

    op = "group_transfer"

    user: str = wire("user", Id(), "The member.")


@message
class SetGroupInfo(OnGroup):
    """Change what the group says of itself; what is left out stays."""

    op = "group_set"

    name: str | None = wire("name", _NAME, "For people.", default=None)
    introduction: str | None = wire("intro", _INTRODUCTION, "For people.", default=None)
    notification: str | None = wire("notice", _INTRODUCTION, "For people.", default=None)
    face: str | None = wire("face", _FACE, "URL of a picture.", default=None)
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "Replaces all of the application's fields.", default=None)
    most: int | None = wire("max", Int(0, MAX_GROUP_MEMBERS), "Members it may have; 0: the preset's.", default=None)
    join: str | None = wire("join", _WORD, "`free`, `approval` or `invite`.", default=None)


@message
class SetMyInfo(OnGroup):
    """Change what the group shows of oneself; what is left out stays."""

    op = "group_me"

    card: str | None = wire("card", _CARD, "One's name in this group.", default=None)
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "Replaces all of the application's fields.", default=None)


@message
class MuteMember(OnGroup):
    """Keep a member from inviting."""

    op = "group_mute"

    user: str = wire("user", Id(), "The member.")
    seconds: int = wire("s", Int(0, MAX_BAN_S), "For how long; 0: no longer.")


@message
class MuteAll(OnGroup):
    """Keep all members but the owner and administrators from inviting, or no longer."""

    op = "group_mute_all"

    on: bool = wire("on", Flag(), "Whether they are muted.")


@message
class SetAttributes(OnGroup):
    """Change the group's attributes."""

    op = "group_attrs"

    put: dict[str, bytes] | None = wire("put", _ATTRIBUTES, "Keys with their new values.", default=None)
    drop: tuple[str, ...] = wire("drop", ListOf(Id(), MAX_ATTRIBUTES), "Keys to delete.", default=())
    clear: bool = wire("clear", Flag(), "Delete all first.", default=False)
    at: int | None = wire(
        "at", Int(), "Only where this is the version of the attributes; left out: in any case.", default=None
    )


@message
class Count(OnGroup):
    """Change one of the group's counters."""

    op = "group_count"

    key: str = wire("key", Id(), "The counter; one that does not exist is 0.")
    add: int | None = wire("add", _COUNT, "Add so much.", default=None)
    put: int | None = wire("put", _COUNT, "Set it to so much.", default=None)


@message
class GetGroup(OnGroup):
    """Ask for what the group says of itself."""

    op = "group_get"


@message
class ListMembers(OnGroup):
    """Ask for its members, by user id."""

    op = "group_members"

    role: str = wire("role", _WORD, "Only these: `owner`, `admin` or `member`.", default="")
    next: bytes = wire("next", _CURSOR, "The `next` of the page before, unchanged.", default=b"")


@message
class ListApplications(OnGroup):
    """Ask who applies for membership."""

    op = "group_apps"

    next: bytes = wire("next", _CURSOR, "The `next` of the page before, unchanged.", default=b"")


@message
class AnswerApplication(OnGroup):
    """Decide on an application."""

    op = "group_answer"

    user: str = wire("user", Id(), "Who applies.")
    ok: bool = wire("ok", Flag(), "Whether they become a member.")
    text: str = wire("text", TEXT, "For the applicant.", default="")


@message
class SyncGroup(OnGroup):
    """Ask for what this device, which subscribes to the group's topic now, has not heard."""

    op = "group_sync"

    n: int | None = wire("n", Int(), "The largest version seen; left out: nothing is known of it.", default=None)
    known: dict[str, int] | None = wire(
        "known", MapOf(Int(), MAX_KNOWN), "Open invitations of the group, each with the largest n seen.", default=None
    )
    next: bytes = wire("next", _CURSOR, "The `next` of the page before, unchanged.", default=b"")


@message
class ListGroups(Request):
    """Ask for one's own groups."""

    op = "group_mine"

    next: bytes = wire("next", _CURSOR, "The `next` of the page before, unchanged.", default=b"")


GROUP_REQUESTS: Final = (
    CreateGroup, DismissGroup, JoinGroup, QuitGroup, AddMembers, RemoveMembers, SetRole, TransferGroup, SetGroupInfo,
    SetMyInfo, MuteMember, MuteAll, SetAttributes, Count, GetGroup, ListMembers, ListApplications, AnswerApplication,
    SyncGroup, ListGroups,
)  # fmt: skip


# Events.


@message
class OfMembers(GroupEvent):
    """An event about members."""

    users: tuple[str, ...] = wire("to", USERS, "Whom it is about.")


@message
class GroupCreated(GroupEvent):
    """The group stands; for the devices of who made it."""

    ev = "group_created"

    preset: str = wire("preset", _WORD, "As in the request.", default="")
    name: str = wire("name", _NAME, "As in the request.", default="")


@message
class GroupDismissed(GroupEvent):
    """The group is no more."""

    ev = "group_dismissed"


@message
class MemberEnter(OfMembers):
    """They joined."""

    ev = "member_enter"


@message
class MemberInvited(OfMembers):
    """They were made members by `by`."""

    ev = "member_invited"


@message
class MemberLeave(OfMembers):
    """They quit."""

    ev = "member_leave"


@message
class MemberKicked(OfMembers):
    """They were removed by `by`."""

    ev = "member_kicked"

    reason: str = wire("why", REASON, "The application's own word.", default="")


@message
class MemberChanged(GroupEvent):
    """What the group shows of a member changed; what is left out did not."""

    ev = "member_info"

    user: str = wire("user", Id(), "The member.")
    card: str | None = wire("card", _CARD, "The name in this group.", default=None)
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "All of the application's fields.", default=None)
    muted: int | None = wire("muted", Int(), "Seconds for which they may not invite; 0: they may.", default=None)


@message
class AllMuted(GroupEvent):
    """All members are muted, or no longer."""

    ev = "all_muted"

    on: bool = wire("on", Flag(), "Whether they are.")


@message
class AdminsGranted(OfMembers):
    """They are administrators now."""

    ev = "admin_granted"


@message
class AdminsRevoked(OfMembers):
    """They are administrators no longer."""

    ev = "admin_revoked"


@message
class GroupInfoChanged(GroupEvent):
    """What the group says of itself changed; what is left out did not."""

    ev = "group_info"

    name: str | None = wire("name", _NAME, "For people.", default=None)
    introduction: str | None = wire("intro", _INTRODUCTION, "For people.", default=None)
    notification: str | None = wire("notice", _INTRODUCTION, "For people.", default=None)
    face: str | None = wire("face", _FACE, "URL of a picture.", default=None)
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "All of the application's fields.", default=None)
    most: int | None = wire("max", Int(), "Members it may have; 0: no limit.", default=None)
    join: str | None = wire("join", _WORD, "How one becomes a member.", default=None)
    owner: str | None = wire("owner", Text(64), "The new owner; empty: it has none.", default=None)


@message
class AttributesChanged(GroupEvent):
    """Attributes changed; their version is this event's."""

    ev = "attributes"

    put: dict[str, bytes] | None = wire("put", _ATTRIBUTES, "Keys with their new values.", default=None)
    drop: tuple[str, ...] = wire("drop", ListOf(Id(), MAX_ATTRIBUTES), "Keys that are gone.", default=())


@message
class CounterChanged(GroupEvent):
    """A counter changed."""

    ev = "counter"

    key: str = wire("key", Id(), "The counter.")
    value: int = wire("value", _COUNT, "What it is now.")


@message
class Application(GroupEvent):
    """Somebody applies for membership; for the owner and administrators."""

    ev = "application"

    user: str = wire("user", Id(), "Who applies.")
    text: str = wire("text", TEXT, "What they say.", default="")


@message
class ApplicationDone(GroupEvent):
    """An application was decided; for the applicant, the owner and administrators."""

    ev = "application_done"

    user: str = wire("user", Id(), "Who applied.")
    ok: bool = wire("ok", Flag(), "Whether they are a member now.")
    text: str = wire("text", TEXT, "For the applicant.", default="")


GROUP_EVENTS: Final[dict[str, Codec[GroupEvent]]] = {
    kind.ev: Codec(kind, ("ev", kind.ev))
    for kind in (
        GroupCreated, GroupDismissed, MemberEnter, MemberInvited, MemberLeave, MemberKicked, MemberChanged, AllMuted,
        AdminsGranted, AdminsRevoked, GroupInfoChanged, AttributesChanged, CounterChanged, Application, ApplicationDone,
    )
}  # fmt: skip


# What answers carry.


@message
class GroupState:
    """A group as it stands. Who is no member is told no attributes and no counters."""

    gid: str = wire("gid", Id(), "The group.")
    n: int = wire("n", Int(), "Its version.")
    preset: str = wire("preset", _WORD, "As it was made.")
    owner: str = wire("owner", Text(64), "The owner; empty: it has none.", default="")
    admins: tuple[str, ...] = wire("admins", USERS, "The administrators.", default=())
    name: str = wire("name", _NAME, "For people.", default="")
    introduction: str = wire("intro", _INTRODUCTION, "For people.", default="")
    notification: str = wire("notice", _INTRODUCTION, "For people.", default="")
    face: str = wire("face", _FACE, "URL of a picture.", default="")
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "The application's fields.", default=None)
    most: int = wire("max", Int(), "Members it may have; 0: no limit.", default=0)
    join: str = wire("join", _WORD, "How one becomes a member.")
    count: int = wire("count", Int(), "Members it has.")
    muted: bool = wire("muted", Flag(), "Whether all are muted.", default=False)
    created: int = wire("created", Int(), "When it was made, server time, epoch ms.", default=0)
    attributes: dict[str, bytes] | None = wire("attrs", _ATTRIBUTES, "Its attributes.", default=None)
    attributes_n: int = wire("attrs_n", Int(), "Their version.", default=0)
    counters: dict[str, int] | None = wire("counters", MapOf(_COUNT, MAX_COUNTERS), "Its counters.", default=None)
    role: str = wire("role", _WORD, "What the asking user is in it; empty: no member.", default="")


@message
class MemberState:
    """A member, or somebody who applies."""

    user: str = wire("user", Id(), "Who.")
    role: str = wire("role", _WORD, "`owner`, `admin` or `member`; empty: applies.", default="")
    card: str = wire("card", _CARD, "The name in this group.", default="")
    custom: dict[str, bytes] | None = wire("custom", _CUSTOM, "The application's fields.", default=None)
    joined: int = wire("joined", Int(), "Since when, or when they applied: server time, epoch ms.", default=0)
    muted: int = wire("muted", Int(), "Seconds for which they may not invite.", default=0)
    text: str = wire("text", TEXT, "What an applicant says.", default="")


GROUP: Final = Codec(GroupState)
MEMBER: Final = Codec(MemberState)
