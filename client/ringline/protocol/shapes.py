"""What messages are made of: the kinds that several share, and what every request and event carries."""

from typing import ClassVar, Final

from ringline.protocol.codec import message, wire
from ringline.protocol.limits import (
    MAX_DATA_BYTES,
    MAX_INVITEES,
    MAX_REASON_BYTES,
    MAX_TEXT_BYTES,
    REQUEST_ID_BYTES,
    Bin,
    Id,
    Int,
    ListOf,
    Text,
)

USERS: Final = ListOf(Id(), MAX_INVITEES)
DATA: Final = Bin(MAX_DATA_BYTES)
REASON: Final = Text(MAX_REASON_BYTES)
TEXT: Final = Text(MAX_TEXT_BYTES)
REQUEST_ID: Final = Bin(REQUEST_ID_BYTES, exact=True)


@message
class Request:
    """What every request carries."""

    op: ClassVar[str]

    id: bytes = wire("id", REQUEST_ID, "Random; a repeat of the request has the same.")
    dev: str = wire("dev", Id(), "The device that asks.")


@message
class GroupEvent:
    """What every event of a group carries. Those for all members go to the group's topic, those for some to theirs."""

    ev: ClassVar[str] = ""

    gid: str = wire("gid", Id(), "The group.")
    n: int = wire("n", Int(), "The event's version, which is the group's after it.", default=0)
    p: int = wire(
        "p", Int(), "Version of the one before it that went to all members; left out: not for all, not ordered.",
        default=0,
    )
    ts: int = wire("ts", Int(), "When it happened, server time, epoch ms.", default=0)
    by: str | None = wire("by", Id(), "Who brought it about; left out: the extension.", default=None)
    dev: str | None = wire("dev", Id(), "The device of the request that brought it about.", default=None)
    re: bytes | None = wire("re", REQUEST_ID, "The id of that request.", default=None)
