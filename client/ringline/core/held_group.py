"""One group as this device knows it, and the order of its events."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ringline.protocol.group_events import (
    GroupCreated,
    GroupDismissed,
    MemberEnter,
    MemberInvited,
    MemberKicked,
    MemberLeave,
)
from ringline.protocol.shapes import GroupEvent

_REMEMBERED: Final = 256
"""Events that are not ordered, or came early, of which it is known that they came."""


class Phase(Enum):
    """How far this connection has got with a group."""

    OFF = "off"
    SUBSCRIBING = "subscribing"
    SYNCING = "syncing"
    CURRENT = "current"


@dataclass(slots=True)
class HeldGroup:
    """A group this user is a member of, or was, or has heard of.

    Attributes:
        is_member: whether this user is one, as far as this device knows.
        phase: how far this connection has got with it.
        subacks: SUBSCRIBEs that have no SUBACK yet: only the last one counts.
        seen: the largest version up to which everything was heard; None where nothing is known.
        floor: what is at or below this version was heard, or shall not be.
        alone: versions above it of events heard that are not ordered by p.
        early: events that came before one they follow, by version.
        expected: a version that the server has told of: what made it must come soon.
        gap_since: since when something is missing, or None.
        sync: the request under way that asks for what was missed.
        synced_to: the largest version that its answer told of.
        asked_for: what was expected when it was made.
        is_outrun: whether its answer is of no use, since this user was heard to join after it was made.
        enters_at: where this device would begin to hear: the server said that this user is a member, the event that
            says so has not come.
        lost_at: when the server refused this user who had been a member; why is not known yet.
        is_gone: whether the application was told that this user is a member no longer.
        forget_at: when to forget a group that this user is no member of.
    """

    gid: str
    is_member: bool = False
    phase: Phase = Phase.OFF
    subacks: int = 0
    seen: int | None = None
    floor: int = 0
    alone: set[int] = field(default_factory=set[int])
    early: dict[int, GroupEvent] = field(default_factory=dict[int, GroupEvent])
    expected: int = 0
    gap_since: float | None = None
    sync: bytes | None = None
    synced_to: int = 0
    asked_for: int = 0
    is_outrun: bool = False
    enters_at: int | None = None
    lost_at: float | None = None
    is_gone: bool = False
    forget_at: float = 0.0

    def is_repeat(self, event: GroupEvent) -> bool:
        """Whether it was heard before, or shall not be."""
        if event.n <= self.floor or event.n in self.alone or event.n in self.early:
            return True
        return event.p != 0 and self.seen is not None and event.n <= self.seen

    def take(self, event: GroupEvent, now: float) -> list[GroupEvent]:
        """Take an event that is no repeat in its turn.

        Returns:
            What is to be heard now, in order: none where it has to wait for another, several where others waited for
            it. One without p waits for none: it is not for all, or the first that is.
        """
        if event.p == 0:
            self.note_alone(event.n)
            return [event, *self.catch_up(now)]
        self.keep(event)
        return self.catch_up(now)

    def keep(self, event: GroupEvent) -> None:
        """Let an event wait."""
        if len(self.early) < _REMEMBERED:
            self.early[event.n] = event

    def note_alone(self, n: int) -> None:
        """An event of this version was heard out of order."""
        self.alone.add(n)
        if len(self.alone) > _REMEMBERED:
            self.floor = min(self.alone)
            self.alone.remove(self.floor)

    def catch_up(self, now: float) -> list[GroupEvent]:
        """Take what waited and need not wait any more."""
        taken: list[GroupEvent] = []
        while (following := self._next_early()) is not None:
            self.seen = following.n
            taken.append(following)
        seen = self.floor if self.seen is None else self.seen
        self.early = {n: waiting for n, waiting in self.early.items() if n > seen}
        if not self.early and not self.is_behind:
            self.gap_since = None
        elif self.gap_since is None or taken:
            self.gap_since = now
        return taken

    @property
    def is_behind(self) -> bool:
        """Whether the server told of a version that was not heard."""
        return self.expected > max(self.seen or 0, self.floor) and self.expected not in self.alone

    def _next_early(self) -> GroupEvent | None:
        if self.seen is None:
            return None
        seen = self.seen
        fitting = [n for n, event in self.early.items() if seen < n and (event.p <= seen or event.p in self.alone)]
        return self.early.pop(min(fitting)) if fitting else None

    def start_at(self, n: int) -> None:
        """This is where this device begins to hear: all up to this version is known, or need not be."""
        self.seen = self.floor = n
        self.alone = {one for one in self.alone if one > n}

    def waiting(self) -> list[GroupEvent]:
        """What waits, in order; nothing waits afterwards."""
        early, self.early = self.early, {}
        return [early[n] for n in sorted(early)]

    def enter(self, n: int | None = None) -> None:
        """This user is a member; what came after version n is to be heard, where nothing else is known."""
        if not self.is_member:
            self.is_member = True
            self.is_gone, self.lost_at, self.enters_at, self.gap_since = False, None, None, None
        if self.seen is None:
            self.seen = n

    def let_go(self, floor: int, forget_at: float) -> None:
        """This user is a member no longer."""
        self.is_member, self.phase, self.seen, self.gap_since, self.sync = False, Phase.OFF, None, None, None
        self.floor, self.expected, self.forget_at = max(self.floor, floor), 0, forget_at
        self.early.clear()
        self.alone = {one for one in self.alone if one > self.floor}

    def disconnect(self) -> None:
        """Nothing of this connection counts any more."""
        self.phase, self.subacks, self.gap_since, self.sync, self.expected = Phase.OFF, 0, None, None, 0
        self.enters_at = None


def brings_in(event: GroupEvent, user: str) -> bool:
    """Whether this user becomes a member by it."""
    match event:
        case MemberEnter() | MemberInvited():
            return user in event.users
        case GroupCreated():
            return event.by == user
        case _:
            return False


def takes_out(event: GroupEvent, user: str) -> bool:
    """Whether this user is a member no longer after it."""
    match event:
        case MemberKicked() | MemberLeave():
            return user in event.users
        case GroupDismissed():
            return True
        case _:
            return False
