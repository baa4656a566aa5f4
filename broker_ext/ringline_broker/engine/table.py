"""The transition table: for every operation, role and state, what becomes of it. Data only.

docs/protocol.md prints its diagram and its rows from here, and a test compares.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ringline.protocol.errors import (
    ALREADY_EXISTS,
    INVITATION_OVER,
    NOT_PERMITTED,
    UNKNOWN_INVITATION,
    ErrorCode,
)
from ringline_broker.engine.model import Part


class Role(StrEnum):
    """What the caller is to the invitation."""

    INVITER = "inviter"
    INVITEE = "invitee"
    STRANGER = "stranger"


class Standing(StrEnum):
    """The state an operation finds: for an invitee their own part, for others the invitation's."""

    NONE = "none"
    TOMBSTONE = "tombstone"
    OPEN = "open"
    OVER = "over"
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TAKEN = "taken"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    OFFLINE = "offline"
    DROPPED = "dropped"
    NOTIFIED = "notified"


class Act(StrEnum):
    """What an allowed operation does."""

    CREATE = "create"
    BURY = "bury"
    SETTLE_SELF = "settle_self"
    SETTLE_OTHERS = "settle_others"
    REPLACE_DATA = "replace_data"
    FORWARD = "forward"
    IGNORE = "ignore"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an operation meets: an act, with the part it settles invitees to, or a refusal."""

    act: Act | None = None
    becomes: Part | None = None
    refusal: ErrorCode | None = None


SETTLED: Final = tuple(Standing(part.value) for part in Part if part not in (Part.PENDING, Part.BLOCKED))
AS_INVITER: Final = (Standing.OPEN, Standing.OVER)
AS_INVITEE: Final = (Standing.PENDING, *SETTLED)
AS_STRANGER: Final = (Standing.NONE, Standing.TOMBSTONE, Standing.OPEN, Standing.OVER)

_REFUSE_UNKNOWN: Final = Rule(refusal=UNKNOWN_INVITATION)
_REFUSE_OVER: Final = Rule(refusal=INVITATION_OVER)
_REFUSE_OTHER: Final = Rule(refusal=NOT_PERMITTED)
_REFUSE_USED: Final = Rule(refusal=ALREADY_EXISTS)
_IGNORE: Final = Rule(act=Act.IGNORE)
_SHOW: Final = Rule(act=Act.SHOW)
_CREATE: Final = Rule(act=Act.CREATE, becomes=Part.PENDING)


def _rows(op: str, role: Role, standings: tuple[Standing, ...], rule: Rule) -> dict[tuple[str, Role, Standing], Rule]:
    return {(op, role, standing): rule for standing in standings}


def _answer(op: str, becomes: Part) -> dict[tuple[str, Role, Standing], Rule]:
    return {
        **_rows(op, Role.INVITEE, (Standing.PENDING,), Rule(Act.SETTLE_SELF, becomes)),
        **_rows(op, Role.INVITEE, SETTLED, _REFUSE_OVER),
        **_rows(op, Role.INVITER, AS_INVITER, _REFUSE_OTHER),
        **_rows(op, Role.INVITER, (Standing.TOMBSTONE,), _REFUSE_OVER),
        **_rows(op, Role.STRANGER, (Standing.OPEN, Standing.OVER), _REFUSE_OTHER),
        **_rows(op, Role.STRANGER, (Standing.NONE, Standing.TOMBSTONE), _REFUSE_UNKNOWN),
    }


RULES: Final[dict[tuple[str, Role, Standing], Rule]] = {
    # invite: any id that nobody used; a tombstone stops only whoever set it
    **_rows("invite", Role.STRANGER, (Standing.NONE, Standing.TOMBSTONE), _CREATE),
    **_rows("invite", Role.INVITER, (Standing.TOMBSTONE,), _REFUSE_OVER),
    **_rows("invite", Role.INVITER, AS_INVITER, _REFUSE_USED),
    **_rows("invite", Role.INVITEE, AS_INVITEE, _REFUSE_USED),
    **_rows("invite", Role.STRANGER, (Standing.OPEN, Standing.OVER), _REFUSE_USED),
    # ringing: heard while pending, otherwise without effect and without an answer
    **_rows("ringing", Role.INVITEE, (Standing.PENDING,), Rule(Act.FORWARD)),
    **_rows("ringing", Role.INVITEE, SETTLED, _IGNORE),
    **_rows("ringing", Role.INVITER, (*AS_INVITER, Standing.TOMBSTONE), _IGNORE),
    **_rows("ringing", Role.STRANGER, AS_STRANGER, _IGNORE),
    **_answer("accept", Part.ACCEPTED),
    **_answer("reject", Part.REJECTED),
    # cancel: an id not known yet is buried, so that its invite, should it come late, never rings
    **_rows("cancel", Role.STRANGER, (Standing.NONE,), Rule(Act.BURY)),
    **_rows("cancel", Role.STRANGER, (Standing.TOMBSTONE,), _REFUSE_UNKNOWN),
    **_rows("cancel", Role.INVITER, (Standing.TOMBSTONE,), Rule(Act.BURY)),
    **_rows("cancel", Role.INVITER, (Standing.OPEN,), Rule(Act.SETTLE_OTHERS, Part.CANCELLED)),
    **_rows("cancel", Role.INVITER, (Standing.OVER,), _REFUSE_OVER),
    **_rows("cancel", Role.INVITEE, AS_INVITEE, _REFUSE_OTHER),
    **_rows("cancel", Role.STRANGER, (Standing.OPEN, Standing.OVER), _REFUSE_OTHER),
    # to modify takes somebody who may still answer
    **_rows("modify", Role.INVITER, (Standing.OPEN,), Rule(Act.REPLACE_DATA)),
    **_rows("modify", Role.INVITER, (Standing.OVER, Standing.TOMBSTONE), _REFUSE_OVER),
    **_rows("modify", Role.INVITEE, AS_INVITEE, _REFUSE_OTHER),
    **_rows("modify", Role.STRANGER, (Standing.OPEN, Standing.OVER), _REFUSE_OTHER),
    **_rows("modify", Role.STRANGER, (Standing.NONE, Standing.TOMBSTONE), _REFUSE_UNKNOWN),
    # the present state is told to those who have a part in it
    **_rows("get", Role.INVITER, (*AS_INVITER, Standing.TOMBSTONE), _SHOW),
    **_rows("get", Role.INVITEE, AS_INVITEE, _SHOW),
    **_rows("get", Role.STRANGER, (Standing.OPEN, Standing.OVER), _REFUSE_OTHER),
    **_rows("get", Role.STRANGER, (Standing.NONE, Standing.TOMBSTONE), _REFUSE_UNKNOWN),
}

TRIGGERS: Final[dict[str, tuple[Part, str]]] = {
    "enough accepted": (Part.TAKEN, "the extension"),
    "deadline": (Part.TIMED_OUT, "the extension"),
    "quiet limit": (Part.EXPIRED, "the extension"),
    "nobody online": (Part.OFFLINE, "the extension"),
    "left the group": (Part.DROPPED, "the extension"),
}
"""What the extension itself settles pending invitees to, and when."""
