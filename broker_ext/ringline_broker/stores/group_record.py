"""A group and a person's row in it as bytes, for stores that keep bytes. Each layout has a number, as in record.py."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgpack

from ringline_broker.engine.groups.model import Group, GroupLogEvent, Person, Standing
from ringline_broker.service.ports import StoreUnavailable

GROUP_LAYOUT: Final = 1
PERSON_LAYOUT: Final = 1
_EVENTS: Final = Group._fields.index("events")
_STANDING: Final = Person._fields.index("standing")
_BAD: Final = (ValueError, TypeError, IndexError)


def encode_group(group: Group) -> bytes:
    """The group as bytes."""
    return _pack((GROUP_LAYOUT, *group))  # an event is a tuple of its own fields in their order


def decode_group(body: bytes) -> Group:
    """The group from its bytes; its mappings are plain dicts.

    Raises:
        StoreUnavailable: they are damaged, or of a layout this version does not know.
    """
    try:
        row = _row(body, GROUP_LAYOUT)
        row[_EVENTS] = tuple([GroupLogEvent._make(event) for event in row[_EVENTS]])
        return Group._make(row)
    except _BAD as bad:
        raise StoreUnavailable(f"a group's record cannot be read: {bad!r}") from bad


def encode_person(person: Person) -> bytes:
    """The person as bytes."""
    return _pack((PERSON_LAYOUT, *person))


def decode_person(body: bytes) -> Person:
    """The person from their bytes.

    Raises:
        StoreUnavailable: as `decode_group`.
    """
    try:
        row = _row(body, PERSON_LAYOUT)
        row[_STANDING] = Standing(row[_STANDING])
        return Person._make(row)
    except _BAD as bad:
        raise StoreUnavailable(f"a person's record cannot be read: {bad!r}") from bad


def _pack(row: tuple[object, ...]) -> bytes:
    return msgpack.packb(row, default=_plain)


def _plain(value: object) -> dict[Any, Any]:
    """What stands for a value that MessagePack does not know: mappings may be of kinds that cannot be changed."""
    if isinstance(value, Mapping):
        return {**value}
    raise TypeError(f"a record cannot hold {value!r}")


def _row(body: bytes, known: int) -> list[Any]:
    """What the layout number is followed by."""
    layout, *row = cast("tuple[Any, ...]", msgpack.unpackb(body, use_list=False))
    if layout != known:
        raise ValueError(f"its layout is {layout}; this version reads {known}")
    return row
