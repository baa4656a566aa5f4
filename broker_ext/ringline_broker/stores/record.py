"""An invitation as bytes, for stores that keep bytes. The layout has a number, so that it can change."""

from typing import Any, Final, cast

import msgpack

from ringline.protocol.codec import pack
from ringline_broker.engine.model import Invitation, LogEvent, Part, Seat
from ringline_broker.service.ports import StoreUnavailable

LAYOUT: Final = 2
_WITHOUT_GID: Final = 1
"""The layout before groups: the same fields but `gid`."""
_FIELDS: Final = len(Invitation._fields)
_INVITER, _SEATS, _EVENTS = 1, 2, -1
_PARTS: Final = {part.value: part for part in Part}
_BLOCKED: Final = Part.BLOCKED.value


def encode(invitation: Invitation) -> bytes:
    """The invitation as bytes."""
    i = invitation
    seats = [(user, seat.part, seat.device) for user, seat in i.seats.items()]
    return pack((
        LAYOUT, i.iid, i.inviter, seats, i.n, i.data, i.answers, i.audience, i.online_only, i.timeout,
        i.created, i.due, i.end, i.ended, i.size, i.gid, i.events,  # each a tuple of its own fields in their order
    ))  # fmt: skip


def decode(body: bytes) -> Invitation:
    """The invitation from its bytes.

    Raises:
        StoreUnavailable: they are damaged, or of a layout this version does not know.
    """
    try:
        row = _row(body)
        row[_SEATS] = {user: Seat(_PARTS[part], device) for user, part, device in row[_SEATS]}
        row[_EVENTS] = tuple([LogEvent._make(event) for event in row[_EVENTS]])
        return Invitation._make(row)
    except (ValueError, TypeError, KeyError, IndexError) as bad:
        raise StoreUnavailable(f"a record cannot be read: {bad!r}") from bad


def parties(body: bytes) -> tuple[str, ...]:
    """Its parties, as `Invitation.parties`, from an invitation's bytes.

    Raises:
        StoreUnavailable: as `decode`.
    """
    try:
        row = _row(body)
        return (row[_INVITER], *[user for user, part, _ in row[_SEATS] if part != _BLOCKED])
    except (ValueError, TypeError, IndexError) as bad:
        raise StoreUnavailable(f"a record cannot be read: {bad!r}") from bad


def _row(body: bytes) -> list[Any]:
    """What the layout number is followed by: the fields of an Invitation."""
    layout, *row = cast("tuple[Any, ...]", msgpack.unpackb(body, use_list=False))
    if layout == _WITHOUT_GID:
        row.insert(_EVENTS, "")
    elif layout != LAYOUT:
        raise ValueError(f"its layout is {layout}; this version reads up to {LAYOUT}")
    if len(row) != _FIELDS:
        raise ValueError(f"it has {len(row)} fields, not {_FIELDS}")
    return row
