"""The page's tables of messages, errors, reasons, limits and times, from the code that keeps them."""

import inspect
from collections.abc import Iterable
from typing import Any, Final

from ringline import connection
from ringline.core import core, held, lanes, syncing
from ringline.protocol import limits, topics
from ringline.protocol.answers import ANSWER, Refusal, State
from ringline.protocol.blocklist_requests import BLOCKLIST_REQUESTS
from ringline.protocol.codec import Codec, WireField
from ringline.protocol.errors import REGISTRY, Fault
from ringline.protocol.events import EVENTS, Event
from ringline.protocol.group_requests import GROUP_REQUESTS
from ringline.protocol.reasons import REASONS
from ringline.protocol.requests import REQUESTS, OnInvitation
from ringline.protocol.shapes import Request
from ringline_broker.service import outbox
from ringline_broker.settings import Bounds, ConnectionLimits, Settings

_REQUIRED: Final = "**required**"
_LOWEST: Final = str(-limits.MAX_INT)
_ELSEWHERE: Final = {request.op for request in BLOCKLIST_REQUESTS} | {request.op for request in GROUP_REQUESTS}
_FAULTS: Final = {Fault.CALLER: "the request's", Fault.STATE: "the state's", Fault.SERVER: "the server's"}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def requests() -> str:
    """Every request about invitations, and every field of it."""
    common = keys_of(Request)
    on_invitation = keys_of(OnInvitation)
    parts = [
        message_table(
            "Every request",
            "",
            [("op", "str, a name from below", _REQUIRED, "The operation."), *rows_of(Codec(Request))],
        ),
        message_table("Every request of these but `sync`", "", rows_of(Codec(OnInvitation), without=common)),
        *(
            message_table(f"`{op}`", doc_of(codec), rows_of(codec, without=common if op == "sync" else on_invitation))
            for op, codec in REQUESTS.items()
            if op not in _ELSEWHERE
        ),
    ]
    return "\n\n".join(parts)


def blocklist_requests() -> str:
    """Every request about the blocklist, and every field of it."""
    codecs = [REQUESTS[request.op] for request in BLOCKLIST_REQUESTS]
    common = keys_of(Request)
    parts = (
        message_table(f"`{request.op}`", doc_of(codec), rows_of(codec, without=common))
        for request, codec in zip(BLOCKLIST_REQUESTS, codecs, strict=True)
    )
    return "\n\n".join(parts)


def events() -> str:
    """Every event of invitations, and every field of it."""
    common = keys_of(Event)
    parts = [
        message_table(
            "Every event", "", [("ev", "str, a name from below", _REQUIRED, "What happened."), *rows_of(Codec(Event))]
        ),
        *(message_table(f"`{ev}`", doc_of(codec), rows_of(codec, without=common)) for ev, codec in EVENTS.items()),
    ]
    return "\n\n".join(parts)


def answers() -> str:
    """The answer, and what stands in it."""
    codecs: tuple[Codec[Any], ...] = (ANSWER, Codec(Refusal), Codec(State))
    return "\n\n".join(message_table(codec.message.__name__, doc_of(codec), rows_of(codec)) for codec in codecs)


def message_table(title: str, doc: str, rows: list[tuple[str, ...]]) -> str:
    """A message under its heading."""
    parts = [f"#### {title}", doc] if doc else [f"#### {title}"]
    if not rows:
        return "\n\n".join([*parts, "Nothing more."])
    named = [(f"`{row[0]}`", *row[1:]) for row in rows]
    return "\n\n".join([*parts, table(("key", "type and limits", "if absent", "meaning"), named)])


def rows_of(codec: Codec[Any], without: frozenset[str] = frozenset()) -> list[tuple[str, ...]]:
    """The fields of a message, without those of these keys."""
    return [
        (field.key, field.kind.describes.replace(_LOWEST, "-2^53+1"), _absent(field), field.meaning)
        for field in codec.fields
        if field.key not in without
    ]


def _absent(field: WireField) -> str:
    if field.required:
        return _REQUIRED
    if isinstance(field.default, bool | int):
        return f"`{field.default}`".lower()
    return "nothing" if field.default is None else "empty"


def keys_of(message: type[Any]) -> frozenset[str]:
    """The wire keys of a message."""
    return frozenset(field.key for field in Codec(message).fields)


def doc_of(codec: Codec[Any]) -> str:
    """What a message is."""
    return inspect.cleandoc(codec.message.__doc__ or "")


def errors() -> str:
    """The registry of errors."""
    rows = ((str(row.code), f"`{row.name}`", _FAULTS[row.fault], row.meaning) for row in REGISTRY)
    return table(("code", "name", "whose fault", "meaning"), rows)


def reasons() -> str:
    """The registry of reasons."""
    return table(("reason", "meaning"), ((f"`{word}`", meaning) for word, meaning in REASONS.items()))


def sizes() -> str:
    """The limits that are part of the protocol, then a server's own."""
    wire = [
        ("a request's payload", limits.MAX_REQUEST_BYTES, "bytes"),
        ("a payload of events, or an answer", limits.MAX_MESSAGE_BYTES, "bytes"),
        (
            "an id of a user, a device, an invitation, a group, an attribute or a counter",
            topics.MAX_ID_BYTES,
            "bytes of UTF-8",
        ),
        ("the `id` of a request", limits.REQUEST_ID_BYTES, "bytes, always"),
        ("`data`", limits.MAX_DATA_BYTES, "bytes"),
        ("`why`, a reason", limits.MAX_REASON_BYTES, "bytes of UTF-8"),
        ("`text`, beside a reason", limits.MAX_TEXT_BYTES, "bytes of UTF-8"),
        ("names in `to`, `out`, `off` or `users`", limits.MAX_INVITEES, "users"),
        ("`timeout`", limits.MAX_TIMEOUT_S, "seconds"),
        ("`known` of a sync", limits.MAX_KNOWN, "invitations"),
        ("`next` of a sync", limits.MAX_CURSOR_BYTES, "bytes"),
        ("an array in a request, unknown fields included", limits.MAX_REQUEST_ARRAY, "entries"),
        ("arrays and maps in one another, inside one field", limits.MAX_DEPTH, "levels"),
        ("any integer that a field of ours holds", limits.MAX_INT, "2^53-1"),
    ]
    server, bounds, connections = Settings(), Bounds(), ConnectionLimits()
    own = [
        ("requests of one user at once, after a while with fewer", server.request_burst, "7008 with `wait`"),
        ("… and in a second, for long", server.request_rate, "7008 with `wait`"),
        ("invitees of one invitation", server.max_invitees, "7008, field `to`"),
        ("open invitations of one inviter", server.max_open, "7008 with `wait`"),
        ("bytes that the record of one invitation takes", server.max_record_bytes, "8001, field `data`"),
        ("… and all of one inviter, remembered ones too", server.max_user_bytes, "7008 with `wait`"),
        ("users on one blocklist", server.max_blocked, "7008, field `users`"),
        ("devices of one user, connected", connections.max_devices_per_user, "the one silent longest is disconnected"),
        ("devices in all, connected", connections.max_devices, "CONNACK 3"),
        ("… from one address", connections.max_devices_per_address, "CONNACK 3"),
        ("connections from one address at once", connections.connect_burst, "closed"),
        ("… and in a second, for long", connections.connect_rate, "closed"),
        ("wrong logins from one address, or of one user", connections.max_failures, "CONNACK 3"),
        ("MQTT packets of a user's devices at once", connections.packet_burst, "read more slowly"),
        ("… and in a second, for long", connections.packet_rate, "read more slowly"),
        ("bytes of one MQTT packet from a device", bounds.packet_bytes, "disconnected"),
        ("bytes waiting for a device that does not read", bounds.waiting_bytes, "disconnected"),
        ("messages that a device has not acknowledged", bounds.unacknowledged, "disconnected"),
        ("requests of a device that are not dealt with yet", bounds.unsettled, "read no further until they are"),
        ("subscriptions of a device", bounds.subscriptions, "SUBACK 0x80"),
    ]
    most = table(("at most", "", "unit"), ((what, f"{number:,}", unit) for what, number, unit in wire))
    head = ("a server's own, with the default", "", "above it")
    return f"{most}\n\n{table(head, ((what, f'{number:,}', then) for what, number, then in own))}"


def times() -> str:
    """Every time the protocol knows."""
    server, bounds = Settings(), Bounds()
    first, last = core.CHECK_AFTER_S
    backoff = f"{connection.FIRST_BACKOFF_S:g} s, doubling to {connection.LONGEST_BACKOFF_S:g} s"
    give_up = f"{lanes.GIVE_UP_S:g} s; an invite after its timeout, where that is less"
    rows = [
        ("first repeat of a request", f"{lanes.FIRST_RETRY_S:g} s", "client"),
        ("longest pause between repeats", f"{lanes.LONGEST_RETRY_S:g} s", "client"),
        ("longest `wait` that is waited out, but for syncs", f"{lanes.LONGEST_RETRY_S:g} s", "client"),
        ("shortest pause after a refusal with `wait`", f"{lanes.SHORTEST_WAIT_S:g} s", "client"),
        ("a request is given up after", give_up, "client"),
        ("wait for an event that is missing", f"{held.GAP_WAIT_S:g} s", "client"),
        ("ask about an invitation past its time left", f"after {first:g} to {last:g} s, chosen at random", "client"),
        ("ask again where there was nothing new", f"after {last:g} s", "client"),
        ("remember what ended", f"{held.REMEMBER_S:g} s", "client"),
        ("keepalive of the connection", f"{connection.KEEP_ALIVE_S} s", "client, its own choice"),
        ("pause before the next connection", f"{backoff}, at random from half of it to all of it", "client"),
        ("invitations that one sync names", f"{syncing.KNOWN_AT_ONCE}", "client, so that they fit a request"),
        ("`timeout`, where left out", f"{REQUESTS['invite'].fields[4].default} s", "server"),
        ("quiet limit of an invitation without a deadline", f"{server.quiet_limit_s:,} s", "server, a setting"),
        ("an ended invitation is remembered for", f"{server.retention_s:,} s", "server, a setting"),
        ("after the wrong logins allowed at once, one every", f"{ConnectionLimits().failure_s} s", "server, a setting"),
        ("a sync looks back before `since`", f"{limits.LOOK_BACK_MS // 1000} s", "server"),
        ("the inviter's copy waits to learn who is offline", f"{outbox.REACH_WAIT_S:g} s at most", "server"),
        ("a connection has to send its CONNECT within", f"{bounds.connect_s:g} s", "server, a setting"),
        ("a packet that has begun must be complete within", f"{bounds.packet_s:g} s", "server, a setting"),
    ]
    return table(("what", "how long", "whose"), rows)
