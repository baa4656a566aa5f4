"""A group as a value: its settings, its version, the log of its newest events; and one person's standing in it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
MAX_EVENTS: Final = 256
"""So many events a group remembers; a device that is further behind gets its state."""
MAX_EVENTS_BYTES: Final = 65_536
MAX_ADMINS: Final = 32
"""Besides the owner; so that a group's state, with all its attributes and fields, fits into one answer."""


class Standing(StrEnum):
    """What a person is to a group. Who is nothing of these has no row."""

    MEMBER = "member"
    APPLICANT = "applicant"
    BANNED = "banned"
    LEFT = "left"
    """Was muted when they left: should they come back in time, they still are."""


class Person(NamedTuple):
    """One person's row in a group, kept beside the group and never in it. Roles are in the group itself.

    Attributes:
        since: when they joined, applied or were removed, store time, epoch milliseconds.
        card: their name in this group.
        custom: the application's fields.
        until: a member may not invite before this store time, nor may who comes back; a banned person may not come
            back before it.
        text: what an applicant says.
    """

    user: str
    standing: Standing
    since: int
    card: str = ""
    custom: Mapping[str, bytes] = EMPTY
    until: int = 0
    text: str = ""


class GroupLogEvent(NamedTuple):
    """One event of a group's log.

    Attributes:
        n: the group's version that this event made.
        ev: the event's name on the wire.
        ts: when, store time, epoch milliseconds.
        for_all: whether it goes to the group's topic, which all members hear.
        to: the users who hear it on their own topic, members or not.
        by, dev, re: user, device and id of the request that made it.
        fields: the event's own fields, by the attribute names of its message.
    """

    n: int
    ev: str
    ts: int
    for_all: bool
    to: tuple[str, ...]
    by: str | None
    dev: str | None
    re: bytes | None
    fields: Mapping[str, Any]


class Group(NamedTuple):
    """One group.

    Attributes:
        n: its version, which is the version of its newest event.
        owner: empty where the owner of a work group quit.
        maker: who made it, whoever owns it now: it counts among theirs until it is forgotten.
        admins: the administrators, without the owner.
        most: members it may have, 0 for no limit.
        join: `free`, `approval` or `invite`.
        members: how many it has.
        muted: whether all members but owner and administrators are muted.
        attributes_n: the version at which attributes changed last.
        counters: those that are not 0.
        dismissed: store time at which it ended, or None. It has no members then.
        forgotten: the version of the newest event for all that is no longer among `events`, or 0.
        size: bytes that `events` take, roughly.
        events: the newest, at most MAX_EVENTS and MAX_EVENTS_BYTES.
    """

    gid: str
    preset: str
    owner: str
    maker: str
    created: int
    n: int = 0
    admins: tuple[str, ...] = ()
    name: str = ""
    introduction: str = ""
    notification: str = ""
    face: str = ""
    custom: Mapping[str, bytes] = EMPTY
    most: int = 0
    join: str = "free"
    members: int = 0
    muted: bool = False
    attributes: Mapping[str, bytes] = EMPTY
    attributes_n: int = 0
    counters: Mapping[str, int] = EMPTY
    dismissed: int | None = None
    forgotten: int = 0
    size: int = 0
    events: tuple[GroupLogEvent, ...] = ()


class GroupView(NamedTuple):
    """A group, as much of it as a command needs: `people` has a row for each user it names who has one."""

    group: Group | None
    people: Mapping[str, Person] = EMPTY

    def is_member(self, user: str) -> bool:
        """Whether this user, whom the view must have been made for, is a member now."""
        person = self.people.get(user)
        return (
            person is not None
            and person.standing is Standing.MEMBER
            and self.group is not None
            and self.group.dismissed is None
        )
