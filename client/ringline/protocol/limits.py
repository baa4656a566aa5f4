"""The limits of the wire, and the kinds of value that carry them.

A kind checks one decoded value. The decoder of every message is derived from its fields' kinds, so this module and
the dataclasses in `messages` are all there is to read about what is accepted.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from ringline.protocol.topics import id_fault

MAX_REQUEST_BYTES: Final = 16_384
"""A request's payload, bytes."""
MAX_MESSAGE_BYTES: Final = 32_768
"""An events or answer payload, bytes."""
MAX_DATA_BYTES: Final = 8_192
"""The application's `data`, bytes."""
MAX_TEXT_BYTES: Final = 256
"""The free text beside a reason, bytes."""
MAX_REASON_BYTES: Final = 32
MAX_INVITEES: Final = 300
"""What the wire can carry; a server's own limit (100 by default) is lower."""
MAX_TIMEOUT_S: Final = 86_400
MAX_KNOWN: Final = 512
"""Invitations a sync may name."""
LOOK_BACK_MS: Final = 60_000
"""A sync tells again of what ended up to this long before `since`: server times of two workers differ a little."""
MAX_CURSOR_BYTES: Final = 256
MAX_DEPTH: Final = 8
"""Nesting of arrays and maps inside one field, unknown fields included."""
MAX_REQUEST_ARRAY: Final = 512
"""Entries any array in a request may have, unknown fields included."""
REQUEST_ID_BYTES: Final = 8
MAX_INT: Final = 2**53 - 1
"""Integers stay exact in every language, JavaScript included."""


class BadValue(ValueError):
    """A value outside its kind, with words for a person."""


class Kind(Protocol):
    """One kind of value."""

    @property
    def describes(self) -> str:
        """The type and its limits in a few words, as the documentation prints them."""
        ...

    def check(self, value: object) -> object:
        """Return the value as the message holds it, or raise BadValue."""
        ...


@dataclass(frozen=True, slots=True)
class Id:
    """A user, device or invitation id."""

    describes: str = "str, id of 1-64 bytes"

    def check(self, value: object) -> object:
        if type(value) is not str:
            raise BadValue("must be a string")
        if (fault := id_fault(value)) is not None:
            raise BadValue(fault)
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text of a bounded number of bytes."""

    limit: int

    @property
    def describes(self) -> str:
        return f"str, at most {self.limit} bytes"

    def check(self, value: object) -> object:
        if type(value) is not str:
            raise BadValue("must be a string")
        if len(value.encode("utf-8", "surrogatepass")) > self.limit:
            raise BadValue(f"is longer than {self.limit} bytes")
        return value


@dataclass(frozen=True, slots=True)
class Bin:
    """Bytes, of one exact length or up to a limit."""

    limit: int
    exact: bool = False

    @property
    def describes(self) -> str:
        return f"bin, {'exactly' if self.exact else 'at most'} {self.limit} bytes"

    def check(self, value: object) -> object:
        if type(value) is not bytes:
            raise BadValue("must be binary")
        if len(value) > self.limit or (self.exact and len(value) != self.limit):
            raise BadValue(f"must have {'exactly' if self.exact else 'at most'} {self.limit} bytes, has {len(value)}")
        return value


@dataclass(frozen=True, slots=True)
class Int:
    """An integer between two bounds, both included."""

    low: int = 0
    high: int = MAX_INT

    @property
    def describes(self) -> str:
        return f"int, {self.low} to {'2^53-1' if self.high == MAX_INT else self.high}"

    def check(self, value: object) -> object:
        if type(value) is not int:
            raise BadValue("must be an integer")
        if not self.low <= value <= self.high:
            raise BadValue(f"must be {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    describes: str = "bool"

    def check(self, value: object) -> object:
        if type(value) is not bool:
            raise BadValue("must be true or false")
        return value


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of one kind, held as a tuple."""

    item: Kind
    limit: int

    @property
    def describes(self) -> str:
        return f"array of at most {self.limit}: {self.item.describes}"

    def check(self, value: object) -> object:
        if type(value) is not list:
            raise BadValue("must be an array")
        if len(value) > self.limit:
            raise BadValue(f"has more than {self.limit} entries")
        check = self.item.check
        return tuple([check(one) for one in value])


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from ids to one kind."""

    item: Kind
    limit: int

    @property
    def describes(self) -> str:
        return f"map of at most {self.limit}, id to: {self.item.describes}"

    def check(self, value: object) -> object:
        if type(value) is not dict:
            raise BadValue("must be a map")
        if len(value) > self.limit:
            raise BadValue(f"has more than {self.limit} entries")
        key, check = Id(), self.item.check
        return {key.check(name): check(one) for name, one in value.items()}


@dataclass(frozen=True, slots=True)
class Anything:
    """A value this message passes on without looking inside."""

    describes: str

    def check(self, value: object) -> object:
        return value
