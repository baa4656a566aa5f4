"""What the service needs from the outside: a clock, a store, a binding. Whoever implements one reads only this page."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from ringline.protocol.errors import RinglineError
from ringline_broker.engine.groups.model import Group, GroupView, Person, Standing
from ringline_broker.engine.model import Invitation


class Unusable(RinglineError):
    """What is outside cannot be used; the message says why, and then what to do where that is known.

    Args:
        what: what is wrong.
        remedy: what to do about it; empty where that is not known.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class StoreUnavailable(Unusable):
    """The store did not answer, or could not write. Nothing of the call is known to have happened."""


class BrokerUnavailable(Unusable):
    """The broker did not change what somebody may hear, or did not say so in time. It may have."""


class StoreInUse(RinglineError):
    """Another process has the store open; the message names it."""


class Clock(Protocol):
    """Where time comes from, so that tests can bring their own."""

    def wall_ms(self) -> int:
        """Epoch milliseconds, as the machine believes."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back, from an arbitrary start."""
        ...

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        """Wait for the event, at most so long; True where it came."""
        ...


class Change(NamedTuple):
    """A version to commit, provided that the store still has the version `expected` (0: does not have the id).

    Attributes:
        invitation: the new version.
        expected: the version the store must have.
        before: bytes that one takes, as its `Invitation.size` says; 0 for none.
    """

    invitation: Invitation
    expected: int
    before: int = 0


class Usage(NamedTuple):
    """What one user takes of the store.

    Attributes:
        open: open invitations the user is the inviter of.
        bytes: what all invitations take that the user is the inviter of, over or not, as `Invitation.size` counts.
        groups: groups the user made, those among them that were dismissed and are not forgotten yet.
    """

    open: int = 0
    bytes: int = 0
    groups: int = 0


class Mark(NamedTuple):
    """The events after version `since` up to version `to` were handed to the broker."""

    iid: str
    since: int
    to: int


class Held(NamedTuple):
    """An invitation as the store has it, with the version up to which its events were handed to the broker."""

    invitation: Invitation
    mark: int


class GroupChange(NamedTuple):
    """A version of a group to commit, with the rows of people that change with it.

    Attributes:
        group: the new version; its rows all go where it is dismissed.
        expected: the version the store must have (0: does not have the id; a dismissed group keeps it until purged).
        people: by user; None takes the row away.
    """

    group: Group
    expected: int
    people: Mapping[str, Person | None]


class HeldGroup(NamedTuple):
    """A group as the store has it, with those rows that were asked for, and the version up to which its events were
    handed to the broker and what follows from them was done.
    """

    view: GroupView
    mark: int


class GroupStore(Protocol):
    """Keeps groups, with one row a person beside each. The same rules hold as for Store."""

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        """The groups that exist or were dismissed not long ago, by id, each with the rows of the users named."""
        ...

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        """Write new versions with their rows; for each whether it was written, as `Store.commit`."""
        ...

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        """Move marks, as `Store.mark`; `iid` is the group's id."""
        ...

    async def claim_unmarked_groups(self, lease_ms: int, limit: int) -> list[HeldGroup]:
        """Groups with events whose consequences may not have happened, as `Store.claim_unmarked`; with no rows."""
        ...

    async def people(self, gid: str, standing: Standing, after: str, limit: int) -> list[Person]:
        """The rows of this standing, by user id in byte order, above `after`."""
        ...

    async def last_members(self, gid: str, after: str, limit: int) -> list[str]:
        """Who was a member of the group when it was dismissed, by user id in byte order, above `after`; until it is
        forgotten. They are to hear of it, also where whoever dismissed it died before saying so.
        """
        ...

    async def groups_of(self, user: str, after: str, limit: int) -> list[tuple[str, int]]:
        """The groups the user is a member of, by id in byte order above `after`, each with its version."""
        ...

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        """The open invitations made in the group, by id in byte order above `after`."""
        ...


class BlockStore(Protocol):
    """Keeps blocklists: who may not ring a user. The same rules hold as for Store."""

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        """Add to the user's list. Who is on it already stays as they were.

        Args:
            user: whose list.
            masks: whom to add, each with the device that will seem to reject their calls.
            limit: how many the list may have.

        Returns:
            Whether it was done; where the list would be too long, nothing is.
        """
        ...

    async def unblock(self, user: str, users: Collection[str]) -> None:
        """Take users off the list; who is not on it is passed over."""
        ...

    async def blocked(self, user: str, after: str, limit: int) -> list[str]:
        """Who is on the list, in byte order, above `after`."""
        ...

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Of these pairs, those of which the first has the second on their list, each with its mask."""
        ...


class Store(GroupStore, BlockStore, Protocol):
    """Keeps invitations. Compare-and-swap by version is its heart; it decides nothing else.

    Every method raises StoreUnavailable where the store cannot be reached or cannot write, and after `close`. Time is
    the store's: it goes on evenly whatever is done to the machine's clock, and never back.
    """

    def now(self) -> int:
        """Store time, epoch milliseconds."""
        ...

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        """The invitations that exist, by id."""
        ...

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write new versions; for each whether it was written, False where the version was not the expected one.

        Durable, as far as the store's setting says, when it returns. Without changes the time alone is written,
        wherever a change could be, which tells whether it can.
        """
        ...

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        """The ids of invitations that are due, each pushed out by one lease so that nobody else acts meanwhile;
        the earliest first, of those due at once the lowest id.
        """
        ...

    async def next_due(self) -> int | None:
        """When the next invitation is due, store time; None where none will be."""
        ...

    async def count_open(self) -> int:
        """How many invitations are open, which costs little however many there are; tombstones are not."""
        ...

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Move marks: each goes forward, and over no event that was not handed over. One that is ahead, because another
        process is just handing over what is before it, counts once that is marked; one beyond the newest version is
        nothing. May lag, need not be durable.
        """
        ...

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        """Invitations with events that may not have been handed to the broker, and that nobody has committed or claimed
        for as long as a lease: whoever did is gone. Each is claimed for one lease by this.

        Those left the longest first, of those left at once the lowest id. What a store that one process owns has when
        it is opened was left long ago.
        """
        ...

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        """Invitations the user is a party to, with ids above `after` in byte order: the open ones and, where `since_ms`
        is given, those that ended after it. Tombstones are not among them.
        """
        ...

    async def usage(self, users: Collection[str]) -> Mapping[str, Usage]:
        """What each user takes; users who take nothing may be left out."""
        ...

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget invitations that ended and groups that were dismissed before, the oldest of both kinds first, at most
        `limit` of both together; returns how many.
        """
        ...

    async def close(self) -> None:
        """Finish what is waiting and let go of everything."""
        ...


class Reach(Enum):
    """What the broker said of a message it was handed; LOST: it was given up before the broker had it."""

    SOMEBODY = "somebody"
    NOBODY = "nobody"
    UNKNOWN = "unknown"
    LOST = "lost"


class Incoming(NamedTuple):
    """A request as it came from the broker.

    Attributes:
        user: whom the broker authenticated, from the topic.
        payload: the bytes.
        received_ms: store time at which it was read from the socket.
        settle: called once when the request has been dealt with, for the binding to acknowledge it.
    """

    user: str
    payload: bytes
    received_ms: int
    settle: Callable[[], None]


class Binding(Protocol):
    """How the extension reaches a broker.

    Attributes:
        has_group_topics: whether it can take a group's topic away from a member without disturbing them. Where it
            cannot, what all members hear is handed over once for each, on their own topics.
    """

    has_group_topics: bool

    @property
    def is_responsive(self) -> bool:
        """Whether the broker takes what it is handed, as far as can be told. Where not, other processes do what is to
        be done about deadlines, and about what somebody left.
        """
        ...

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> Reach | asyncio.Future[Reach]:
        """Hand a message over, in order with those before it, QoS 1.

        Args:
            topic: where to.
            payload: the message.
            expiry_ms: how long it is of use, where it stops to be; brokers that can, drop it then.

        Returns:
            Whether anybody was there to hear it, at once or, where the broker takes time to tell, later.
        """
        ...

    def open_group(self, gid: str, users: Collection[str]) -> Awaitable[None] | None:
        """Let those of these users who are members by now, which is asked of the service, have the group's topic; where
        that is not asked anyway when they want it.

        Returns:
            Where the broker takes time, what is awaited until they may.

        Raises:
            BrokerUnavailable, StoreUnavailable: (awaited) the broker or the store does not answer; to be repeated.
        """
        ...

    def close_group(self, gid: str, users: Collection[str] | None) -> Awaitable[None] | None:
        """Take the group's topic away from these users, or from all: nothing published from now on reaches them there.
        Who is a member, and may have it again or keep it, is asked of the service.

        Returns:
            As `open_group`.

        Raises:
            BrokerUnavailable, StoreUnavailable: likewise.
        """
        ...
