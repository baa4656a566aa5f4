"""Making the next version of a group: a mutable copy, while one command changes it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringline_broker.engine.groups.model import (
    MAX_EVENTS,
    MAX_EVENTS_BYTES,
    Group,
    GroupLogEvent,
    GroupView,
    Person,
    Standing,
)
from ringline_broker.engine.groups.rights import role_of
from ringline_broker.engine.step import Done, Refused

EVENT_OVERHEAD_BYTES: Final = 96


def _most_by_default() -> Mapping[str, int]:
    return {"work": 200, "public": 2_000, "meeting": 6_000, "live": 0}


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What a server allows; `most` is by preset how many members a group may have, 0 for no limit."""

    most: Mapping[str, int] = field(default_factory=_most_by_default)


@dataclass(frozen=True, slots=True)
class Pending:
    """The application was written down, now or by an earlier copy of the request, and waits for approval."""

    repeated: bool = False


GroupReply = Done | Refused | Pending
DONE: Final = Done()
REPEATED: Final = Done(repeated=True)
"""Also the answer where nothing is left to do: no event will tell the device."""


class GroupStep(NamedTuple):
    """What became of a command.

    Attributes:
        view: the next version; the same object where nothing changed.
        changed: the rows that changed, None for one that goes. A dismissed group's all go without being listed.
        reply: what the device is told.
    """

    view: GroupView
    changed: Mapping[str, Person | None]
    reply: GroupReply


class Draft:
    """A group, while one command changes it.

    Args:
        view: as it stands.
        base: its group.
        by: who asks, from device `dev`, by the request `re`.
        now_ms: store time of the command.
        limits: what the server allows.
    """

    def __init__(
        self, view: GroupView, base: Group, by: str, made_by: tuple[str, bytes], now_ms: int, limits: GroupLimits
    ) -> None:
        self.group = base
        self.user = by
        self.role = role_of(view, by)
        self.now_ms = now_ms
        self.limits = limits
        self.people = dict(view.people)
        self._base = base
        self._made_by = (by, *made_by)
        self._changed: dict[str, Person | None] = {}
        self._new: list[GroupLogEvent] = []

    def is_member(self, user: str) -> bool:
        """Whether this user is a member by now."""
        return self.standing(user) is Standing.MEMBER

    def standing(self, user: str) -> Standing | None:
        """What this user is by now; a ban that is over is none."""
        person = self.people.get(user)
        if person is None or person.standing is Standing.LEFT:
            return None
        return None if person.standing is Standing.BANNED and person.until <= self.now_ms else person.standing

    def muted_until(self, user: str) -> int:
        """Until when this user, member or not, may not invite here: to leave and come back lifts no mute."""
        person = self.people.get(user)
        is_muted = person is not None and person.standing is not Standing.BANNED and person.until > self.now_ms
        return person.until if person is not None and is_muted else 0

    @property
    def leaders(self) -> tuple[str, ...]:
        """The owner, where there is one, and the administrators."""
        return ((self.group.owner,) if self.group.owner else ()) + self.group.admins

    def has_room(self, users: Collection[str]) -> bool:
        """Whether so many more may become members."""
        return self.group.most == 0 or self.group.members + len(users) <= self.group.most

    def put(self, person: Person) -> None:
        """Write a row."""
        self.people[person.user] = self._changed[person.user] = person

    def enter(self, users: Collection[str]) -> None:
        """Make users members."""
        for user in users:
            self.put(Person(user, Standing.MEMBER, self.now_ms, until=self.muted_until(user)))
        self.group = self.group._replace(members=self.group.members + len(users))

    def leave(self, users: Collection[str]) -> None:
        """Make members leave, and be administrators no longer."""
        for user in users:
            self.forget(user)
        admins = tuple(one for one in self.group.admins if one not in users)
        self.group = self.group._replace(members=self.group.members - len(users), admins=admins)

    def forget(self, user: str) -> None:
        """Take a row away, but for what is left of a mute."""
        if until := self.muted_until(user):
            self.put(Person(user, Standing.LEFT, self.now_ms, until=until))
            return
        self.people.pop(user, None)
        self._changed[user] = None

    def dismiss(self) -> None:
        """End the group."""
        self.group = self.group._replace(dismissed=self.now_ms, admins=(), members=0)
        self.add("group_dismissed")

    def add(self, ev: str, to: tuple[str, ...] = (), *, for_all: bool = True, **fields: object) -> int:
        """Add an event, for all and for these users on their own topics; its version."""
        by, dev, re = self._made_by
        n = self._base.n + len(self._new) + 1
        self._new.append(GroupLogEvent(n, ev, self.now_ms, for_all, to, by, dev, re, fields))
        return n

    def finish(self, reply: GroupReply) -> GroupStep:
        """The next version, its log trimmed."""
        group = self._trimmed()
        if group.dismissed is not None:
            return GroupStep(GroupView(group), {}, reply)
        return GroupStep(GroupView(group, self.people), self._changed, reply)

    def _trimmed(self) -> Group:
        """The oldest events go; those of this command never, since nobody has heard them. They always fit."""
        old, forgotten = self._base.events, self._base.forgotten
        size = self._base.size + sum(map(event_bytes, self._new))
        kept = len(old) + len(self._new)
        first = 0
        while first < len(old) and (kept - first > MAX_EVENTS or size > MAX_EVENTS_BYTES):
            size -= event_bytes(old[first])
            forgotten = old[first].n if old[first].for_all else forgotten
            first += 1
        n = self._base.n + len(self._new)
        return self.group._replace(n=n, forgotten=forgotten, size=size, events=(*old[first:], *self._new))


def event_bytes(event: GroupLogEvent) -> int:
    """Bytes an event takes, roughly."""
    return EVENT_OVERHEAD_BYTES + _bytes(event.to) + sum(map(_bytes, event.fields.values()))


def _bytes(value: object) -> int:
    match value:
        case str():
            return len(value.encode("utf-8", "surrogatepass")) + 2
        case bytes():
            return len(value) + 3
        case Mapping():
            return _sum_of(value.keys()) + _sum_of(value.values())
        case tuple() | list():
            return _sum_of(value)
        case _:
            return 9


def _sum_of(values: Iterable[object]) -> int:
    return 5 + sum(map(_bytes, values))
