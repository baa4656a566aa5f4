"""The registry of error codes, and the exception that carries one.

Codes keep the numbers of Tencent IM where it has one for the case (TIMErrCode and the signaling manager's codes), so
that ported applications keep their tables; names are ours and tell cases apart that share a number.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Fault(Enum):
    """Whose doing an error is, which is what decides whether a repeat can help."""

    CALLER = "caller"
    """The request itself is wrong, or too much: the same request will be refused again, at least for now."""
    STATE = "state"
    """The request came too late, or twice: somebody else's move decided it."""
    SERVER = "server"
    """The request was fine: the same request may succeed later, and clients repeat it."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the registry: the number on the wire, its name, whose fault it is and what it means."""

    code: int
    name: str
    fault: Fault
    meaning: str


BAD_PARAMETER: Final = ErrorCode(
    6017, "bad_parameter", Fault.CALLER, "A field is missing, of a wrong type, out of its limits or contradictory."
)
TOO_MANY_REQUESTS: Final = ErrorCode(
    7008,
    "too_many_requests",
    Fault.CALLER,
    "A limit on how much one user may have or ask for at once was reached; `wait` says for how long, where it passes.",
)
TOO_LARGE: Final = ErrorCode(
    8001, "too_large", Fault.CALLER, "The message, its data or the invitation it would make exceeds a size limit."
)
UNKNOWN_INVITATION: Final = ErrorCode(
    8010, "unknown_invitation", Fault.STATE, "No invitation has this id: never made, or over for too long."
)
INVITATION_OVER: Final = ErrorCode(
    8010, "invitation_over", Fault.STATE, "The invitation, or this user's part in it, was already settled."
)
NOT_PERMITTED: Final = ErrorCode(
    8011, "not_permitted", Fault.CALLER, "This user has no part in the invitation that allows the operation."
)
ALREADY_EXISTS: Final = ErrorCode(8012, "already_exists", Fault.CALLER, "Another invitation already has this id.")
SERVER_UNAVAILABLE: Final = ErrorCode(
    8100, "server_unavailable", Fault.SERVER, "The extension cannot reach its store just now; repeat the request."
)
NOT_MEMBERS: Final = ErrorCode(
    10004, "not_members", Fault.CALLER, "Some of those named are no members of the group, or cannot become any."
)
GROUP_NOT_PERMITTED: Final = ErrorCode(
    10007, "group_not_permitted", Fault.CALLER, "This user's role in the group, or its preset, does not allow this."
)
OWNER_CANNOT_QUIT: Final = ErrorCode(
    10009, "owner_cannot_quit", Fault.STATE, "The owner has to transfer the group first, or to dismiss it."
)
UNKNOWN_GROUP: Final = ErrorCode(10010, "unknown_group", Fault.STATE, "No group has this id, or it was dismissed.")
ALREADY_MEMBER: Final = ErrorCode(10013, "already_member", Fault.STATE, "This user is a member already.")
GROUP_FULL: Final = ErrorCode(10014, "group_full", Fault.STATE, "The group has as many members as it may have.")
MUTED: Final = ErrorCode(10017, "muted", Fault.STATE, "This member is muted in the group and may not invite.")
GROUP_EXISTS: Final = ErrorCode(10021, "group_exists", Fault.CALLER, "Another group already has this id.")
ATTRIBUTES_CHANGED: Final = ErrorCode(
    10056, "attributes_changed", Fault.STATE, "The attributes are at another version: read them, then write again."
)

NOT_CONNECTED: Final = ErrorCode(
    9508, "not_connected", Fault.SERVER, "Local: no connection to the broker before the request's time was over."
)
NO_ANSWER: Final = ErrorCode(
    9520, "no_answer", Fault.SERVER, "Local: the request was sent, but no answer came before its time was over."
)
CLOSED: Final = ErrorCode(6014, "closed", Fault.CALLER, "Local: the client was closed before the request was answered.")
WITHDRAWN: Final = ErrorCode(
    6015, "withdrawn", Fault.STATE, "Local: the invitation was cancelled before the server had it; nobody rang."
)

REGISTRY: Final = (
    BAD_PARAMETER,
    TOO_MANY_REQUESTS,
    TOO_LARGE,
    UNKNOWN_INVITATION,
    INVITATION_OVER,
    NOT_PERMITTED,
    ALREADY_EXISTS,
    SERVER_UNAVAILABLE,
    NOT_MEMBERS,
    GROUP_NOT_PERMITTED,
    OWNER_CANNOT_QUIT,
    UNKNOWN_GROUP,
    ALREADY_MEMBER,
    GROUP_FULL,
    MUTED,
    GROUP_EXISTS,
    ATTRIBUTES_CHANGED,
    NOT_CONNECTED,
    NO_ANSWER,
    CLOSED,
    WITHDRAWN,
)
BY_NAME: Final = {row.name: row for row in REGISTRY}


class RinglineError(Exception):
    """The base of every error Ringline raises."""


class ProtocolError(RinglineError):
    """A message that breaks the protocol: its code, and the field at fault where one is.

    Args:
        code: the registry's row.
        text: what is wrong, for a person.
        field: the wire key at fault, or None where it is the message as a whole.
    """

    def __init__(self, code: ErrorCode, text: str, field: str | None = None) -> None:
        super().__init__(text if field is None else f"{field}: {text}")
        self.code = code
        self.text = text
        self.field = field
