"""Every topic there is for some users and groups, in every shape that might pass for one, and who may have it.

What may be had is written out here once more, independently of the code under attack.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

PREFIX: Final = ("ringline", "v1")
USERS: Final = ("alice", "bob", "mallory")
GROUPS: Final = {"family": {"alice", "bob"}, "crew": {"bob", "mallory"}}
NOBODY, NOWHERE, DEVICE = "nobody", "nowhere", "phone"
"""A user and a group that there are not, and a device's name."""

PACKET_LIMIT: Final = 32_768
LONG: Final = 30_000


def topics() -> list[str]:
    """Every topic of these users and groups, and of those that there are not."""
    parts = [
        *(("u", user, *rest) for user in (*USERS, NOBODY) for rest in (("req",), ("evt",), ("d", DEVICE))),
        *(("g", group, "evt") for group in (*GROUPS, NOWHERE)),
    ]
    return ["/".join((*PREFIX, *part)) for part in parts]


def nearby() -> list[str]:
    """What is no topic, and looks like one."""
    parts = [
        *(("u", user, *rest) for user in USERS for rest in ((), ("d",), ("d", ""), ("d", "a", "b"), ("evt", ""))),
        *(("g", group, *rest) for group in GROUPS for rest in ((), ("req",), ("d", DEVICE), ("evt", "x"))),
        *(("g", user, "evt") for user in USERS),
        *(("u", group, "evt") for group in GROUPS),
        (),
        ("u",),
        ("g",),
    ]
    return ["/".join((*PREFIX, *part)) for part in parts]


def may_subscribe(user: str, topic_filter: str) -> bool:
    """Whether this user may have this filter."""
    match topic_filter.split("/"):
        case [*head, "u", owner, "evt"] if head == [*PREFIX]:
            return owner == user
        case [*head, "u", owner, "d", device] if head == [*PREFIX]:
            return owner == user and _is_id(device)
        case [*head, "g", group, "evt"] if head == [*PREFIX]:
            return user in GROUPS.get(group, ())
        case _:
            return False


def may_publish(user: str, topic: str) -> bool:
    """Whether this user may publish there."""
    return topic == "/".join((*PREFIX, "u", user, "req"))


def breaks_as_filter(topic_filter: str) -> bool:
    """Whether asking for it ends the connection."""
    return not topic_filter or "\0" in topic_filter or len(topic_filter.encode()) > PACKET_LIMIT


def breaks_as_name(topic: str) -> bool:
    """Whether publishing there ends the connection."""
    return breaks_as_filter(topic) or not {"+", "#"}.isdisjoint(topic)


def _is_id(device: str) -> bool:
    return 1 <= len(device.encode()) <= 64 and device[0] != "$" and not any(c in "+#" or c < " " for c in device)


def shapes(of: Iterable[str]) -> list[str]:
    """All the shapes of these topics, each once, in a fixed order; the topics themselves come first."""
    of = list(of)
    found = dict.fromkeys(of)
    for topic in of:
        levels = topic.split("/")
        found |= dict.fromkeys((*_wildcards(levels), *_framed(topic), *_gaps(levels), *_disguises(levels)))
    return list(found | dict.fromkeys(_ALONE))


_ALONE: Final = (
    "",
    "#",
    "+",
    "/",
    "//",
    "/#",
    "+/#",
    "/+",
    "+/+",
    "+/+/+/+/+",
    "+/+/+/+/+/+",
    "$SYS",
    "$SYS/#",
    "$SYS/+/+",
    "$SYS/broker/clients/connected",
    "$share",
    "$share/g",
    "$share/g/#",
    "$share/+/#",
    "$queue/#",
    "$",
    "$/#",
    "\0",
    "x" * LONG,
    "#/" * (LONG // 2),
    "x" * 65_535,
)


def _wildcards(levels: list[str]) -> Iterator[str]:
    """`+` on every set of levels, each of these cut off by `#` at every level, and wildcards that are none."""
    for chosen in product((False, True), repeat=len(levels)):
        mixed = ["+" if wild else level for wild, level in zip(chosen, levels, strict=True)]
        yield "/".join(mixed)
        for cut in range(len(levels) + 1):
            yield "/".join([*mixed[:cut], "#"])
    for at, level in enumerate(levels):
        for fault in (f"{level}+", f"+{level}", f"{level}#", "#", "##", "++"):
            yield "/".join([*levels[:at], fault, *levels[at + 1 :]])


def _framed(topic: str) -> Iterator[str]:
    for frame in ("$share/g/", "$share//", "$share/+/", "$queue/", "$SYS/", "$", "/", "./", "../", "+/"):
        yield f"{frame}{topic}"


def _gaps(levels: list[str]) -> Iterator[str]:
    """An empty level at every place, and a level left out."""
    for at in range(len(levels) + 1):
        yield "/".join([*levels[:at], "", *levels[at:]])
    for at in range(len(levels)):
        yield "/".join([*levels[:at], "", *levels[at + 1 :]])
        yield "/".join([*levels[:at], *levels[at + 1 :]])


def _disguises(levels: list[str]) -> Iterator[str]:
    """Each level changed a little, or a lot."""
    for at, level in enumerate(levels):
        for other in (
            level.swapcase(),
            level.title(),
            f"{level}x",
            level[:-1],
            f"{level} ",
            f" {level}",
            f"{level}\t",
            f"{level}\0",
            f"\0{level}",
            f"{level}\u200b",
            f"{level}\u0301",
            "".join(chr(ord(c) + 0xFEE0) for c in level),  # full width, which normalisation would undo
            "".join(f"%{ord(c):02x}" for c in level),
            f"${level}",
            f"{level}/../{level}",
            level * 33,
            level * 1_000,
        ):
            yield "/".join([*levels[:at], other, *levels[at + 1 :]])
    yield "/".join(levels).upper()
    yield "/".join(reversed(levels))
