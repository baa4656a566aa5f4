"""What the extension publishes on a device's own topic: the answer to a request of it."""

from typing import Final

from ringline.protocol.codec import Codec, Nested, message, pack, unpack, wire
from ringline.protocol.group_states import GROUP, GroupState
from ringline.protocol.limits import (
    MAX_CURSOR_BYTES,
    MAX_INVITEES,
    MAX_KNOWN,
    MAX_MESSAGE_BYTES,
    Anything,
    Bin,
    Flag,
    Id,
    Int,
    ListOf,
    MapOf,
    Text,
)
from ringline.protocol.shapes import DATA, REQUEST_ID, USERS


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
