"""A group and a person's row in it as bytes, for stores that keep bytes. Each layout has a number, as in record.py."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgpack

from ringline_broker.engine.groups.model import Group, GroupLogEvent, Person, Standing
from ringline_broker.service.ports import StoreUnavailable

GROUP_LAYOUT: Final = 2
PERSON_LAYOUT: Final = 1
_WITHOUT_MAKER: Final = 1
"""The layout of a group before its maker was known: the same fields but `maker`, which the owner then stands for."""
_OWNER: Final = Group._fields.index("owner")
_MAKER: Final = Group._fields.index("maker")
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
        layout, row = _row(body, GROUP_LAYOUT)
        if layout == _WITHOUT_MAKER:
            row.insert(_MAKER, row[_OWNER])
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
        _, row = _row(body, PERSON_LAYOUT)
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


def _row(body: bytes, newest: int) -> tuple[int, list[Any]]:
    """The layout number, and what it is followed by."""
    layout, *row = cast("tuple[Any, ...]", msgpack.unpackb(body, use_list=False))
    if layout not in range(1, newest + 1):
        raise ValueError(f"its layout is {layout}; this version reads up to {newest}")
    return layout, row
