"""Every message of the protocol, as a dataclass whose fields say their wire key, kind, meaning and default."""

from typing import ClassVar, Final

from ringline.protocol.blocklist_messages import BLOCKLIST_REQUESTS
from ringline.protocol.codec import Codec, Nested, message, pack, unpack, wire
from ringline.protocol.errors import BAD_PARAMETER, ProtocolError
from ringline.protocol.group_messages import GROUP, GROUP_EVENTS, GROUP_REQUESTS, GroupState
from ringline.protocol.limits import (
    MAX_CURSOR_BYTES,
    MAX_INVITEES,
    MAX_KNOWN,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_ARRAY,
    MAX_REQUEST_BYTES,
    MAX_TIMEOUT_S,
    Anything,
    Bin,
    Flag,
    Id,
    Int,
    ListOf,
    MapOf,
    Text,
)
from ringline.protocol.shapes import DATA, REASON, REQUEST_ID, TEXT, USERS, GroupEvent, Request
from ringline.protocol.topics import MAX_ID_BYTES

DEFAULT_TIMEOUT_S: Final = 30


# Requests: what a device publishes on its user's req topic.


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


# Events: what the extension publishes on evt topics, as an array of maps.


@message
class Event:
    """What every event carries."""

    ev: ClassVar[str] = ""

    iid: str = wire("iid", Id(), "The invitation.")
    n: int = wire("n", Int(), "The event's version; left out: not part of the log, and not ordered.", default=0)
    p: int = wire("p", Int(), "Version of the one before it that went to this user; left out: the first.", default=0)
    ts: int = wire("ts", Int(), "When it happened, server time, epoch ms. For logs and for sync's since.", default=0)
    by: str | None = wire("by", Id(), "Who brought it about; left out: the extension.", default=None)
    dev: str | None = wire("dev", Id(), "The device of the request that brought it about.", default=None)
    re: bytes | None = wire("re", REQUEST_ID, "The id of that request.", default=None)
    end: str | None = wire("end", Text(16), "The outcome; present where this ends the invitation.", default=None)


@message
class Invited(Event):
    """A new invitation; `by` is the inviter."""

    ev = "invited"

    to: tuple[str, ...] = wire("to", USERS, "The invitees.")
    ttl: int | None = wire(
        "ttl", Int(), "Milliseconds left; 0: over for this user, never rings; left out: no deadline.", default=None
    )
    data: bytes = wire("data", DATA, "The application's.", default=b"")
    answers: int | None = wire("answers", Int(0, MAX_INVITEES), "As in the request.", default=None)
    audience: str = wire("audience", Text(16), "As in the request.", default="")
    online_only: bool = wire("online_only", Flag(), "As in the request.", default=False)
    gid: str = wire("gid", Text(MAX_ID_BYTES), "The group it is made in.", default="")
    offline: tuple[str, ...] = wire(
        "off", USERS, "Inviter's live copy only: the invitees with no device online.", default=()
    )


@message
class NowRinging(Event):
    """A device of the invitee `by` alerts its user. Not part of the log: no n, p or ts."""

    ev = "ringing"


@message
class Accepted(Event):
    """The invitee `by` accepted on device `dev`."""

    ev = "accepted"

    data: bytes = wire("data", DATA, "The application's.", default=b"")


@message
class Rejected(Event):
    """The invitee `by` rejected on device `dev`."""

    ev = "rejected"

    data: bytes = wire("data", DATA, "The application's.", default=b"")
    reason: str = wire("why", REASON, "A word of the reason registry, or the application's own.", default="")
    text: str = wire("text", TEXT, "Free text beside the reason.", default="")


@message
class Settling(Event):
    """An event that settles several invitees at once."""

    out: tuple[str, ...] = wire("out", USERS, "The invitees it settles.", default=())


@message
class Taken(Settling):
    """Enough accepted, `by` was the last of them: the others need not answer any more."""

    ev = "taken"


@message
class Cancelled(Settling):
    """The inviter took it back for those in `out`."""

    ev = "cancelled"

    data: bytes = wire("data", DATA, "The application's.", default=b"")
    reason: str = wire("why", REASON, "A word of the reason registry, or the application's own.", default="")
    text: str = wire("text", TEXT, "Free text beside the reason.", default="")


@message
class Modified(Event):
    """The invitation's data was replaced."""

    ev = "modified"

    data: bytes = wire("data", DATA, "The new data.", default=b"")


@message
class TimedOut(Settling):
    """The deadline passed with those in `out` still pending."""

    ev = "timed_out"


@message
class Expired(Settling):
    """An invitation without a deadline reached the quiet limit."""

    ev = "expired"


@message
class Offline(Settling):
    """An online_only invitation found nobody online."""

    ev = "offline"


@message
class Dropped(Settling):
    """Those in `out` are no members of the group any more, or the inviter is not: they need not answer."""

    ev = "dropped"

    reason: str = wire("why", REASON, "`left`, `removed` or `dismissed`.", default="")


@message
class Ended(Event):
    """The bare end, for a party whom the ending event does not concern."""

    ev = "ended"


EVENTS: Final[dict[str, Codec[Event]]] = {
    message.ev: Codec(message, ("ev", message.ev))
    for message in (
        Invited,
        NowRinging,
        Accepted,
        Rejected,
        Taken,
        Cancelled,
        Modified,
        TimedOut,
        Expired,
        Offline,
        Dropped,
        Ended,
    )
}
_UNKNOWN_EVENT: Final = Codec(Event)
_UNKNOWN_GROUP_EVENT: Final = Codec(GroupEvent)


def decode_event(raw: object) -> Event | GroupEvent:
    """Read one event of an array. A kind nobody knows is read as a plain Event, so that the protocol can grow.

    Raises:
        ProtocolError: it is not a well-formed event.
    """
    if type(raw) is not dict:
        raise ProtocolError(BAD_PARAMETER, "an event must be a map")
    ev = raw.get("ev")
    if type(ev) is not str:
        raise ProtocolError(BAD_PARAMETER, "must be a string", "ev")
    if ev in GROUP_EVENTS:
        return GROUP_EVENTS[ev].decode(raw)
    if ev not in EVENTS and "gid" in raw and "iid" not in raw:
        return _UNKNOWN_GROUP_EVENT.decode(raw)
    return EVENTS.get(ev, _UNKNOWN_EVENT).decode(raw)


def decode_events(payload: bytes) -> list[object]:
    """Open an events message; each entry is read on its own with `decode_event`, so one bad entry spoils no other.

    Raises:
        ProtocolError: the payload is not one array.
    """
    raw = unpack(payload, MAX_MESSAGE_BYTES)
    if type(raw) is not list:
        raise ProtocolError(BAD_PARAMETER, "an events message must be an array")
    return raw


def event_map(event: Event | GroupEvent) -> dict[str, object]:
    """The event as a map with wire keys."""
    if isinstance(event, Event):
        return EVENTS[event.ev].to_map(event)
    return GROUP_EVENTS[event.ev].to_map(event)


def join_events(packed: list[bytes]) -> bytes:
    """An events message from events that are packed already."""
    count = len(packed)
    head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")  # noqa: PLR2004 - fixarray
    return head + b"".join(packed)


# Answers: what the extension publishes on a device's own topic.


@message
class State:
    """An invitation's present state, for a party of it."""

    iid: str = wire("iid", Id(), "The invitation.")
    n: int = wire("n", Int(), "Its version.", default=0)
    by: str = wire("by", Id(), "The inviter.", default="")
    to: dict[str, str] | None = wire(
        "to", MapOf(Text(16), MAX_INVITEES), "Invitee to state; an invitee sees only their own.", default=None
    )
    dev: str | None = wire("dev", Id(), "The device that settled it for the user who asks.", default=None)
    ttl: int | None = wire("ttl", Int(), "Milliseconds left while it is open and has a deadline.", default=None)
    data: bytes = wire("data", DATA, "The invitation's data; left out of refusals.", default=b"")
    end: str | None = wire("end", Text(16), "The outcome; present where it is over.", default=None)


@message
class Refusal:
    """Why a request was refused."""

    code: int = wire("code", Int(), "The number in the error registry.")
    name: str = wire("name", Text(32), "The name in the error registry.")
    text: str = wire("text", Text(512), "What is wrong, for a person.", default="")
    field: str | None = wire("field", Text(128), "The field at fault, by its wire key.", default=None)
    state: State | None = wire("state", Nested(Codec(State)), "The present state, to parties.", default=None)
    who: tuple[str, ...] = wire("who", USERS, "The users at fault, where it is some of several.", default=())
    wait: int | None = wire(
        "wait", Int(), "Too much at once: milliseconds after which the same request may succeed.", default=None
    )


@message
class Answer:
    """The answer to one request: a refusal, or a result."""

    re: bytes = wire("re", REQUEST_ID, "The id of the request.")
    err: Refusal | None = wire("err", Nested(Codec(Refusal)), "Present where it was refused.", default=None)
    n: int = wire("n", Int(), "To a repeated change: the invitation's version.", default=0)
    state: State | None = wire("state", Nested(Codec(State)), "To get.", default=None)
    events: tuple[object, ...] = wire(
        "evs", ListOf(Anything("map, an event"), 4096), "To sync: events, those of one invitation in order.", default=()
    )
    gone: tuple[str, ...] = wire("gone", ListOf(Id(), MAX_KNOWN), "To sync: known ones that exist no more.", default=())
    groups: dict[str, int] | None = wire(
        "groups", MapOf(Int(), MAX_KNOWN), "To sync and group_mine: the user's groups, each with its version.",
        default=None,
    )
    group: GroupState | None = wire(
        "group", Nested(GROUP), "To group_get, group_create and group_sync without what was missed.",
        default=None,
    )
    members: tuple[object, ...] = wire(
        "members", ListOf(Anything("map, a member"), 1024), "To group_members and group_apps.", default=()
    )
    users: tuple[str, ...] = wire("users", USERS, "To blocked: a page of the list, in byte order.", default=())
    pending: bool = wire("wait", Flag(), "To group_join: it waits for approval.", default=False)
    ts: int = wire("ts", Int(), "To sync: server time, epoch ms, a start for since.", default=0)
    more: bool = wire("more", Flag(), "To sync: there is another page.", default=False)
    next: bytes = wire("next", Bin(MAX_CURSOR_BYTES), "To sync: where that page starts.", default=b"")


ANSWER: Final = Codec(Answer)


def encode_answer(answer: Answer) -> bytes:
    """The answer as a payload."""
    return pack(ANSWER.to_map(answer))


def decode_answer(payload: bytes) -> Answer:
    """Read an answer.

    Raises:
        ProtocolError: it is not a well-formed answer.
    """
    return ANSWER.decode(unpack(payload, MAX_MESSAGE_BYTES))
