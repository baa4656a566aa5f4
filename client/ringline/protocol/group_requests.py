"""What a device asks about groups. Every request is answered; what it changed is also heard as events."""

from typing import Final

from ringline.protocol.codec import message, wire
from ringline.protocol.group_shapes import (
    ATTRIBUTES,
    CARD,
    COUNT,
    CURSOR,
    CUSTOM,
    FACE,
    INTRODUCTION,
    MAX_ATTRIBUTES,
    MAX_BAN_S,
    MAX_GROUP_MEMBERS,
    NAME,
    WORD,
)
from ringline.protocol.limits import MAX_KNOWN, Flag, Id, Int, ListOf, MapOf
from ringline.protocol.shapes import REASON, TEXT, USERS, Request


@message
class OnGroup(Request):
    """What every request about one group carries."""

    gid: str = wire("gid", Id(), "The group.")


@message
class CreateGroup(OnGroup):
    """Make a group, with an id of the client's choice; who makes it owns it."""

    op = "group_create"

    preset: str = wire("preset", WORD, "`work`, `public`, `meeting` or `live`: what members may do by default.")
    name: str = wire("name", NAME, "For people.", default="")
    introduction: str = wire("intro", INTRODUCTION, "For people.", default="")
    notification: str = wire("notice", INTRODUCTION, "For people.", default="")
    face: str = wire("face", FACE, "URL of a picture.", default="")
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "The application's fields.", default=None)
    most: int = wire("max", Int(0, MAX_GROUP_MEMBERS), "Members it may have; 0: what the preset allows.", default=0)
    join: str = wire("join", WORD, "`free`, `approval` or `invite`; left out: the preset's.", default="")
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
    role: str = wire("role", WORD, "`admin` or `member`.")


@message
class TransferGroup(OnGroup):
    """Make another member the owner."""

    op = "group_transfer"

    user: str = wire("user", Id(), "The member.")


@message
class SetGroupInfo(OnGroup):
    """Change what the group says of itself; what is left out stays."""

    op = "group_set"

    name: str | None = wire("name", NAME, "For people.", default=None)
    introduction: str | None = wire("intro", INTRODUCTION, "For people.", default=None)
    notification: str | None = wire("notice", INTRODUCTION, "For people.", default=None)
    face: str | None = wire("face", FACE, "URL of a picture.", default=None)
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "Replaces all of the application's fields.", default=None)
    most: int | None = wire("max", Int(0, MAX_GROUP_MEMBERS), "Members it may have; 0: the preset's.", default=None)
    join: str | None = wire("join", WORD, "`free`, `approval` or `invite`.", default=None)


@message
class SetMyInfo(OnGroup):
    """Change what the group shows of oneself; what is left out stays."""

    op = "group_me"

    card: str | None = wire("card", CARD, "One's name in this group.", default=None)
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "Replaces all of the application's fields.", default=None)


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

    put: dict[str, bytes] | None = wire("put", ATTRIBUTES, "Keys with their new values.", default=None)
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
    add: int | None = wire("add", COUNT, "Add so much.", default=None)
    put: int | None = wire("put", COUNT, "Set it to so much.", default=None)


@message
class GetGroup(OnGroup):
    """Ask for what the group says of itself."""

    op = "group_get"


@message
class ListMembers(OnGroup):
    """Ask for its members, by user id."""

    op = "group_members"

    role: str = wire("role", WORD, "Only these: `owner`, `admin` or `member`.", default="")
    next: bytes = wire("next", CURSOR, "The `next` of the page before, unchanged.", default=b"")


@message
class ListApplications(OnGroup):
    """Ask who applies for membership."""

    op = "group_apps"

    next: bytes = wire("next", CURSOR, "The `next` of the page before, unchanged.", default=b"")


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
    next: bytes = wire("next", CURSOR, "The `next` of the page before, unchanged.", default=b"")


@message
class ListGroups(Request):
    """Ask for one's own groups."""

    op = "group_mine"

    next: bytes = wire("next", CURSOR, "The `next` of the page before, unchanged.", default=b"")


GROUP_REQUESTS: Final = (
    CreateGroup, DismissGroup, JoinGroup, QuitGroup, AddMembers, RemoveMembers, SetRole, TransferGroup, SetGroupInfo,
    SetMyInfo, MuteMember, MuteAll, SetAttributes, Count, GetGroup, ListMembers, ListApplications, AnswerApplication,
    SyncGroup, ListGroups,
)  # fmt: skip
