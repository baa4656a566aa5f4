"""What callers give is checked here: TypeError or ValueError at once, in words that name the argument.

Functions take `object`: what a caller really gives is not what they were asked for.
"""

from collections.abc import Iterable, Mapping, Sequence

from ringline.data import pack_data
from ringline.protocol.limits import MAX_INVITEES
from ringline.protocol.topics import id_fault


def checked_str(what: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
    return value


def checked_prefix(value: object) -> str:
    """What topics may start with."""
    prefix = checked_str("prefix", value)
    if not all(prefix.split("/")) or prefix[0] == "$" or set(prefix) & set("+#"):
        raise ValueError(f"prefix must be a topic without wildcards, not {prefix!r}")
    return prefix


def checked_flag(what: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{what} must be True or False, not {type(value).__name__}")
    return value


def checked_id(what: str, value: object) -> str:
    """A user, device or invitation id."""
    name = checked_str(what, value)
    if (fault := id_fault(name)) is not None:
        raise ValueError(f"{what} {fault}")
    return name


def checked_users(what: str, users: object) -> tuple[str, ...]:
    """User ids, each once."""
    if isinstance(users, str | bytes):
        raise TypeError(f"{what} must be a list of user ids, not one string")
    if not isinstance(users, Iterable):
        raise TypeError(f"{what} must be a list of user ids, not {type(users).__name__}")
    checked = tuple(dict.fromkeys(checked_id(what, user) for user in users))
    if len(checked) > MAX_INVITEES:
        raise ValueError(f"{what} must name at most {MAX_INVITEES} users")
    return checked


def checked_some_users(what: str, users: object) -> tuple[str, ...]:
    """User ids, each once, and at least one."""
    checked = checked_users(what, users)
    if not checked:
        raise ValueError(f"{what} must name at least one user")
    return checked


def checked_names(what: str, names: object, limit: int) -> tuple[str, ...]:
    """Keys, each once."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f"{what} must be a list of keys, not {type(names).__name__}")
    checked = tuple(dict.fromkeys(checked_id(what, name) for name in names))
    if len(checked) > limit:
        raise ValueError(f"{what} must name at most {limit} keys")
    return checked


def checked_fields(what: str, fields: object, limit: int, value_bytes: int) -> dict[str, bytes]:
    """Keys with values, which are packed."""
    if not isinstance(fields, Mapping):
        raise TypeError(f"{what} must be a map, not {type(fields).__name__}")
    if len(fields) > limit:
        raise ValueError(f"{what} must have at most {limit} keys, has {len(fields)}")
    return {
        checked_id(f"a key of {what}", key): pack_data(value, value_bytes, f"{what}[{key!r}]")
        for key, value in fields.items()
    }


def checked_word(what: str, value: object, words: Sequence[str]) -> str:
    """One of some words."""
    word = checked_str(what, value)
    if word not in words:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, words))}, not {word!r}")
    return word


def checked_bytes(what: str, value: object, limit: int) -> bytes:
    """A bounded number of bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"{what} must be bytes, not {type(value).__name__}")
    if len(value) > limit:
        raise ValueError(f"{what} must have at most {limit} bytes, has {len(value)}")
    return value


def checked_int(what: str, value: object, low: int, high: int) -> int:
    """A whole number between two bounds, both included."""
    if type(value) is not int:
        raise TypeError(f"{what} must be a whole number, not {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{what} must be {low} to {high}, not {value}")
    return value


def checked_text(what: str, value: object, limit: int) -> str:
    """Text of a bounded number of bytes."""
    text = checked_str(what, value)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what} is not valid UTF-8") from None
    if size > limit:
        raise ValueError(f"{what} must have at most {limit} bytes, has {size}")
    return text
