"""What users hear of invitations, and how events are read and written: arrays of maps on evt topics."""

from typing import ClassVar, Final

from ringline.protocol.codec import Codec, message, unpack, wire
from ringline.protocol.errors import BAD_PARAMETER, ProtocolError
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.limits import MAX_INVITEES, MAX_MESSAGE_BYTES, Flag, Id, Int, Text
from ringline.protocol.shapes import DATA, REASON, REQUEST_ID, TEXT, USERS, GroupEvent
from ringline.protocol.topics import MAX_ID_BYTES


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
