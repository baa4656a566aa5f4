"""What a device asks about invitations, and how any request is read and written.

Each is a dataclass, whose fields say their wire key, kind, meaning and default; so it is with events and answers.
"""

from typing import Final

from ringline.protocol.blocklist_requests import BLOCKLIST_REQUESTS
from ringline.protocol.codec import Codec, message, pack, unpack, wire
from ringline.protocol.errors import BAD_PARAMETER, ProtocolError
from ringline.protocol.group_requests import GROUP_REQUESTS
from ringline.protocol.limits import (
    MAX_CURSOR_BYTES,
    MAX_INVITEES,
    MAX_KNOWN,
    MAX_REQUEST_ARRAY,
    MAX_REQUEST_BYTES,
    MAX_TIMEOUT_S,
    Bin,
    Flag,
    Id,
    Int,
    MapOf,
    Text,
)
from ringline.protocol.shapes import DATA, REASON, TEXT, USERS, Request
from ringline.protocol.topics import MAX_ID_BYTES

DEFAULT_TIMEOUT_S: Final = 30


@message
class OnInvitation(Request):
    """What every request about one invitation carries."""

    iid: str = wire("iid", Id(), "The invitation. Chosen by the inviter's client, at least 96 random bits.")


@message
class Invite(OnInvitation):
    """Ring somebody."""

    op = "invite"

    to: tuple[str, ...] = wire("to", USERS, "The invitees, at least one, not oneself; repeated names count once.")
    timeout: int = wire(
        "timeout", Int(0, MAX_TIMEOUT_S), "Seconds to the deadline; 0: none.", default=DEFAULT_TIMEOUT_S
    )
    data: bytes = wire("data", DATA, "The application's, never looked into.", default=b"")
    answers: int | None = wire(
        "answers",
        Int(0, MAX_INVITEES),
        "How many may accept before the rest are settled as taken: 1 the first, N the first N, left out all; "
        "0 makes a notice, which is over when made.",
        default=None,
    )
    audience: str = wire("audience", Text(16), "`parties`: every party hears every event.", default="")
    online_only: bool = wire("online_only", Flag(), "Only devices online now; nothing is synced.", default=False)
    gid: str = wire("gid", Text(MAX_ID_BYTES), "The group it is made in; all members hear of it.", default="")
    partial: bool = wire("partial", Flag(), "In a group: leave out invitees who are no members.", default=False)


@message
class Ringing(OnInvitation):
    """Tell the inviter that this device really alerts its user now. Never answered, never repeated."""

    op = "ringing"


@message
class Accept(OnInvitation):
    """Accept for this user."""

    op = "accept"

    data: bytes = wire("data", DATA, "The application's.", default=b"")


@message
class Reject(OnInvitation):
    """Reject for this user."""

    op = "reject"

    data: bytes = wire("data", DATA, "The application's.", default=b"")
    reason: str = wire("why", REASON, "A word of the reason registry, or the application's own.", default="")
    text: str = wire("text", TEXT, "Free text beside the reason.", default="")


@message
class Cancel(OnInvitation):
    """Take back the invitation, or some invitees of it."""

    op = "cancel"

    to: tuple[str, ...] = wire("to", USERS, "Only these invitees; left out or empty: all pending ones.", default=())
    data: bytes = wire("data", DATA, "The application's.", default=b"")
    reason: str = wire("why", REASON, "A word of the reason registry, or the application's own.", default="")
    text: str = wire("text", TEXT, "Free text beside the reason.", default="")


@message
class Modify(OnInvitation):
    """Replace the invitation's data."""

    op = "modify"

    data: bytes = wire("data", DATA, "The new data.")


@message
class Get(OnInvitation):
    """Ask for the present state of one invitation."""

    op = "get"


@message
class Sync(Request):
    """Ask for what this device has not heard."""

    op = "sync"

    known: dict[str, int] | None = wire(
        "known", MapOf(Int(), MAX_KNOWN), "The open invitations held, each with the largest n seen.", default=None
    )
    since: int | None = wire(
        "since", Int(), "The largest ts seen; left out: nothing that is over is told.", default=None
    )
    only: bool = wire("only", Flag(), "Nothing but the known ones.", default=False)
    next: bytes = wire("next", Bin(MAX_CURSOR_BYTES), "The `next` of the page before, unchanged.", default=b"")


_REQUESTS: Final[tuple[type[Request], ...]] = (
    Invite, Ringing, Accept, Reject, Cancel, Modify, Get, Sync, *BLOCKLIST_REQUESTS, *GROUP_REQUESTS
)  # fmt: skip
REQUESTS: Final[dict[str, Codec[Request]]] = {
    message.op: Codec(message, ("op", message.op)) for message in _REQUESTS
}


class RequestRefused(ProtocolError):
    """A request that cannot be read: the fault, and whom to tell where the request says so.

    Attributes:
        reply_to: the device and the request id, or None where either cannot be read.
    """

    def __init__(self, fault: ProtocolError, reply_to: tuple[str, bytes] | None) -> None:
        super().__init__(fault.code, fault.text, fault.field)
        self.reply_to = reply_to


def decode_request(payload: bytes) -> Request:
    """Read a request.

    Raises:
        RequestRefused: anything else than one well-formed request.
    """
    raw: object = None
    try:
        raw = unpack(payload, MAX_REQUEST_BYTES, MAX_REQUEST_ARRAY)
        if type(raw) is not dict:
            raise ProtocolError(BAD_PARAMETER, "must be a map")
        op = raw.get("op")
        codec = REQUESTS.get(op) if type(op) is str else None
        if codec is None:
            raise ProtocolError(BAD_PARAMETER, "is not an operation", "op")
        return codec.decode(raw)
    except ProtocolError as fault:
        raise RequestRefused(fault, _reply_to(raw)) from None


def _reply_to(raw: object) -> tuple[str, bytes] | None:
    if type(raw) is not dict:
        return None
    try:
        request = _HEADER.decode({field.key: raw.get(field.key) for field in _HEADER.fields})
    except ProtocolError:
        return None
    return request.dev, request.id


_HEADER: Final = Codec(Request)


def header_of(payload: bytes) -> tuple[str, bytes] | None:
    """The device and the id of a request, whatever else is in it; None where either cannot be read."""
    try:
        return _reply_to(unpack(payload, MAX_REQUEST_BYTES, MAX_REQUEST_ARRAY))
    except ProtocolError:
        return None


def encode_request(request: Request) -> bytes:
    """The request as a payload."""
    return pack(REQUESTS[request.op].to_map(request))
