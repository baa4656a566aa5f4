"""The reference model: a store in memory, which the others must agree with. Nothing survives the process."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from ringline_broker.engine.groups.model import Group
from ringline_broker.engine.model import Invitation
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import Change, Clock, Held, Mark, Usage
from ringline_broker.stores.marks import Handed
from ringline_broker.stores.memory_blocks import MemoryBlocks
from ringline_broker.stores.memory_groups import MemoryGroups, claimed, take_out


class MemoryStore(MemoryGroups, MemoryBlocks):
    """Keeps invitations, groups and blocklists in dictionaries."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(SteadyTime(clock))
        self._invitations: dict[str, Invitation] = {}
        self._handed: dict[str, Handed] = {}
        self._left: dict[str, int] = {}
        """When each was committed or claimed last."""
        self._due: dict[str, int] = {}
        self._iids_of: dict[str, set[str]] = defaultdict(set)
        self._open: dict[str, set[str]] = defaultdict(set)
        self._bytes: dict[str, int] = {}
        """Of each user: the bytes of all they are the inviter of."""
        self._open_in: dict[str, set[str]] = defaultdict(set)

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        """The invitations that exist, by id."""
        self._check_open()
        return {iid: self._held(iid) for iid in iids if iid in self._invitations}

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write new versions where the expected one stands."""
        self._check_open()
        return [self._commit_one(change) for change in changes]

    def _commit_one(self, change: Change) -> bool:
        invitation = change.invitation
        iid = invitation.iid
        standing = self._invitations.get(iid)
        if (0 if standing is None else standing.n) != change.expected:
            return False
        if standing is not None:
            self._add_bytes(standing.inviter, -standing.size)
        self._add_bytes(invitation.inviter, invitation.size)
        if standing is not None and standing.is_tombstone:
            take_out(self._iids_of, standing.inviter, iid)
        if standing is None or standing.is_tombstone:
            for user in invitation.parties:
                self._iids_of[user].add(iid)
        self._invitations[iid] = invitation
        self._handed.setdefault(iid, Handed())
        self._left[iid] = self.now()
        if invitation.ended is None:
            self._open[invitation.inviter].add(iid)
            if invitation.gid:
                self._open_in[invitation.gid].add(iid)
        else:
            take_out(self._open, invitation.inviter, iid)
            take_out(self._open_in, invitation.gid, iid)
        if invitation.due is None:
            self._due.pop(iid, None)
        else:
            self._due[iid] = invitation.due
        return True

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        """Claim what is due."""
        self._check_open()
        now = self.now()
        due = sorted((due, iid) for iid, due in self._due.items() if due <= now)[:limit]
        for _, iid in due:
            self._due[iid] = now + lease_ms
        return [iid for _, iid in due]

    async def next_due(self) -> int | None:
        """When the next invitation is due."""
        self._check_open()
        return min(self._due.values(), default=None)

    async def count_open(self) -> int:
        """How many invitations are open."""
        self._check_open()
        return len(self._due)  # all that are open come due one day, and nothing else does

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Move marks."""
        self._check_open()
        for mark in marks:
            if mark.iid in self._handed:
                self._handed[mark.iid] = self._handed[mark.iid].after(mark, self._invitations[mark.iid].n)

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        """Claim invitations with events that may not have been handed over."""
        self._check_open()
        late = [iid for iid, invitation in self._invitations.items() if self._handed[iid].mark < invitation.n]
        return [self._held(iid) for iid in claimed(self._left, late, self.now(), lease_ms, limit)]

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        """Invitations of a user, by id in byte order."""
        self._check_open()
        start = after.encode()
        found = [
            (invitation.iid.encode(), invitation)
            for invitation in self._having({user})
            if not invitation.is_tombstone and _is_told(invitation, since_ms)
        ]
        return [invitation for key, invitation in sorted(found, key=lambda row: row[0]) if key > start][:limit]

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        """The open invitations made in the group, by id in byte order."""
        self._check_open()
        iids = sorted(self._open_in.get(gid, ()), key=str.encode)
        return [self._invitations[iid] for iid in iids if iid.encode() > after.encode()][:limit]

    async def usage(self, users: Collection[str]) -> Mapping[str, Usage]:
        """What each user takes."""
        self._check_open()
        return {user: usage for user in users if (usage := self._usage(user)) != Usage()}

    def _usage(self, user: str) -> Usage:
        return Usage(len(self._open.get(user, ())), self._bytes.get(user, 0), len(self._gids_made.get(user, ())))

    def _add_bytes(self, user: str, more: int) -> None:
        count = self._bytes.pop(user, 0) + more
        if count:
            self._bytes[user] = count

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget what ended before, the oldest first."""
        self._check_open()
        ends: list[tuple[int | None, Invitation | Group]] = [(i.ended, i) for i in self._invitations.values()]
        ends += [(group.dismissed, group) for group in self._groups.values()]
        old = [(end, one) for end, one in ends if end is not None and end < before_ms]
        old = sorted(old, key=lambda row: row[0])[:limit]
        for _, one in old:
            if isinstance(one, Group):
                self._forget_group(one.gid)
            else:
                self._forget(one)
        return len(old)

    def _forget(self, invitation: Invitation) -> None:
        del self._invitations[invitation.iid], self._handed[invitation.iid], self._left[invitation.iid]
        self._add_bytes(invitation.inviter, -invitation.size)
        for user in invitation.parties:
            take_out(self._iids_of, user, invitation.iid)

    async def close(self) -> None:
        """Let go of everything."""
        self._closed = True

    def _held(self, iid: str) -> Held:
        return Held(self._invitations[iid], self._handed[iid].mark)

    def _having(self, users: Collection[str]) -> Iterator[Invitation]:
        """The invitations and tombstones that any of these users has a part in."""
        iids = {iid for user in users for iid in self._iids_of.get(user, ())}
        return (self._invitations[iid] for iid in iids)


def _is_told(invitation: Invitation, since_ms: int | None) -> bool:
    return invitation.ended is None or (since_ms is not None and invitation.ended > since_ms)
