"""What answers carry of a group and its members."""

from typing import Final

from ringline.protocol.codec import Codec, message, wire
from ringline.protocol.group_shapes import ATTRIBUTES, CARD, COUNT, CUSTOM, FACE, INTRODUCTION, MAX_COUNTERS, NAME, WORD
from ringline.protocol.limits import Flag, Id, Int, MapOf, Text
from ringline.protocol.shapes import TEXT, USERS


@message
class GroupState:
    """A group as it stands. Who is no member is told no attributes and no counters."""

    gid: str = wire("gid", Id(), "The group.")
    n: int = wire("n", Int(), "Its version.")
    preset: str = wire("preset", WORD, "As it was made.")
    owner: str = wire("owner", Text(64), "The owner; empty: it has none.", default="")
    admins: tuple[str, ...] = wire("admins", USERS, "The administrators.", default=())
    name: str = wire("name", NAME, "For people.", default="")
    introduction: str = wire("intro", INTRODUCTION, "For people.", default="")
    notification: str = wire("notice", INTRODUCTION, "For people.", default="")
    face: str = wire("face", FACE, "URL of a picture.", default="")
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "The application's fields.", default=None)
    most: int = wire("max", Int(), "Members it may have; 0: no limit.", default=0)
    join: str = wire("join", WORD, "How one becomes a member.")
    count: int = wire("count", Int(), "Members it has.")
    muted: bool = wire("muted", Flag(), "Whether all are muted.", default=False)
    created: int = wire("created", Int(), "When it was made, server time, epoch ms.", default=0)
    attributes: dict[str, bytes] | None = wire("attrs", ATTRIBUTES, "Its attributes.", default=None)
    attributes_n: int = wire("attrs_n", Int(), "Their version.", default=0)
    counters: dict[str, int] | None = wire("counters", MapOf(COUNT, MAX_COUNTERS), "Its counters.", default=None)
    role: str = wire("role", WORD, "What the asking user is in it; empty: no member.", default="")


@message
class MemberState:
    """A member, or somebody who applies."""

    user: str = wire("user", Id(), "Who.")
    role: str = wire("role", WORD, "`owner`, `admin` or `member`; empty: applies.", default="")
    card: str = wire("card", CARD, "The name in this group.", default="")
    custom: dict[str, bytes] | None = wire("custom", CUSTOM, "The application's fields.", default=None)
    joined: int = wire("joined", Int(), "Since when, or when they applied: server time, epoch ms.", default=0)
    muted: int = wire("muted", Int(), "Seconds for which they may not invite.", default=0)
    text: str = wire("text", TEXT, "What an applicant says.", default="")


GROUP: Final = Codec(GroupState)
MEMBER: Final = Codec(MemberState)
