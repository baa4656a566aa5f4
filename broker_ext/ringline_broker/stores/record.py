"""An invitation as bytes, for stores that keep bytes. The layout has a number, so that it can change."""

from typing import Any, cast

import msgpack

from ringline.protocol.codec import pack
from ringline_broker.engine.model import Invitation, LogEvent, Part, Seat

LAYOUT = 1


def encode(invitation: Invitation) -> bytes:
    """The invitation as bytes."""
    i = invitation
    seats = [(user, seat.part.value, seat.device) for user, seat in i.seats.items()]
    events = [
        (e.n, e.ev, e.ts, e.to, e.by, e.dev, e.re, e.end, e.data, e.reason, e.text, e.out) for e in i.events
    ]
    return pack((
        LAYOUT, i.iid, i.inviter, seats, i.n, i.data, i.answers, i.audience, i.online_only, i.timeout,
        i.created, i.due, i.end, i.ended, i.size, events,
    ))


def decode(body: bytes) -> Invitation:
    """The invitation from its bytes.

    Raises:
        ValueError: the bytes are of a layout this version does not know.
    """
    layout, *row = cast("list[Any]", msgpack.unpackb(body))
    if layout != LAYOUT:
        raise ValueError(f"a record of layout {layout}; this version reads {LAYOUT}")
    iid, inviter, seats, n, data, answers, audience, online_only, timeout, created, due, end, ended, size, events = row
    return Invitation(
        iid, inviter, {user: Seat(Part(part), device) for user, part, device in seats}, n, data, answers, audience,
        online_only, timeout, created, due, end, ended, size,
        tuple(
            LogEvent(n, ev, ts, tuple(to), by, dev, re, end, data, reason, text, tuple(out))
            for n, ev, ts, to, by, dev, re, end, data, reason, text, out in events
        ),
    )

