"""What members hear of a group."""

from typing import Final

from ringline.protocol.codec import Codec, message, wire
from ringline.protocol.group_shapes import (
    ATTRIBUTES,
    CARD,
    COUNT,
    CUSTOM,
    FACE,
    INTRODUCTION,
    MAX_ATTRIBUTES,
    NAME,
    WORD,
)
from ringline.protocol.limits import Flag, Id, Int, ListOf, Text
from ringline.protocol.shapes import REASON, TEXT, USERS, GroupEvent


@message
class OfMembers(GroupEvent):
    """An event about members."""

    users: tuple[str, ...] = wire("to", USERS, "Whom it is about.")


@message
class GroupCreated(GroupEvent):
    """The group stands; for the devices of who made it."""

    ev = "group_created"

    preset: str = wire("preset", WORD, "As in the request.", default="")
    name: str = wire("name", NAME, "As in the request.", default="")


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
    card: str | None = wire("card", CARD, "The name in this group.", default=None)
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "All of the application's fields.", default=None)
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

    name: str | None = wire("name", NAME, "For people.", default=None)
    introduction: str | None = wire("intro", INTRODUCTION, "For people.", default=None)
    notification: str | None = wire("notice", INTRODUCTION, "For people.", default=None)
    face: str | None = wire("face", FACE, "URL of a picture.", default=None)
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "All of the application's fields.", default=None)
    most: int | None = wire("max", Int(), "Members it may have; 0: no limit.", default=None)
    join: str | None = wire("join", WORD, "How one becomes a member.", default=None)
    owner: str | None = wire("owner", Text(64), "The new owner; empty: it has none.", default=None)


@message
class AttributesChanged(GroupEvent):
    """Attributes changed; their version is this event's."""

    ev = "attributes"

    put: dict[str, bytes] | None = wire("put", ATTRIBUTES, "Keys with their new values.", default=None)
    drop: tuple[str, ...] = wire("drop", ListOf(Id(), MAX_ATTRIBUTES), "Keys that are gone.", default=())


@message
class CounterChanged(GroupEvent):
    """A counter changed."""

    ev = "counter"

    key: str = wire("key", Id(), "The counter.")
    value: int = wire("value", COUNT, "What it is now.")


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
