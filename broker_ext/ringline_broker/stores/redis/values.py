"""Records as the strings that redis keeps; scripts/record.lua reads and writes the same."""

from struct import Struct
from typing import Any, Final, NamedTuple

import msgpack

from ringline_broker.engine.groups.model import Group
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.marks import Handed

_HEAD: Final = Struct(">IIIIQI")


class Record(NamedTuple):
    """A record as it lies there.

    Attributes:
        handed: what of its events was handed to the broker.
        ticket: orders records by when they were first written.
        meta: what scripts look at, packed.
        body: the invitation or group, packed.
    """

    n: int
    handed: Handed
    ticket: int
    meta: bytes
    body: bytes


def invitation_meta(one: Invitation, parties: tuple[str, ...]) -> bytes:
    """What scripts must know of an invitation; its parties are none where it is a tombstone."""
    return msgpack.packb((one.inviter, one.size, False if one.ended is None else one.ended, one.gid, parties))


def group_meta(group: Group) -> bytes:
    """What scripts must know of a group."""
    return msgpack.packb((group.maker, False if group.dismissed is None else group.dismissed))


def parties_of(record: Record) -> list[str]:
    """An invitation's parties; none of a tombstone."""
    meta: list[Any] = msgpack.unpackb(record.meta)
    parties: list[str] = meta[4]
    return parties


def group_of(record: Record) -> str:
    """The group an invitation was made in, or empty."""
    meta: list[Any] = msgpack.unpackb(record.meta)
    gid: str = meta[3]
    return gid


def read(text: bytes) -> Record:
    """The record that lies there.

    Raises:
        StoreUnavailable: it is damaged.
    """
    start = _HEAD.size
    if len(text) < start:
        raise StoreUnavailable(f"a record cannot be read: it has {len(text)} bytes")
    n, mark, since, to, ticket, length = _HEAD.unpack_from(text)
    return Record(n, Handed(mark, since, to), ticket, text[start : start + length], text[start + length :])
