"""The groups of the reference model, in dictionaries."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from ringline_broker.engine.groups.model import Group, GroupView, Person, Standing
from ringline_broker.service.clock import SteadyTime
from ringline_broker.service.ports import GroupChange, HeldGroup, Mark
from ringline_broker.stores.closable import Closable
from ringline_broker.stores.marks import Handed


class MemoryGroups(Closable):
    """The part of MemoryStore that keeps groups."""

    def __init__(self, time: SteadyTime) -> None:
        super().__init__()
        self._time = time
        self._groups: dict[str, Group] = {}
        self._groups_handed: dict[str, Handed] = {}
        self._groups_left: dict[str, int] = {}
        """When each was committed or claimed last."""
        self._people: dict[str, dict[str, Person]] = {}
        self._last_members: dict[str, list[str]] = {}
        self._gids_of: dict[str, set[str]] = defaultdict(set)
        """Of each user: the groups they are a member of."""
        self._gids_made: dict[str, set[str]] = defaultdict(set)
        """Of each user: the groups they made."""

    def now(self) -> int:
        """Store time, epoch milliseconds."""
        return self._time.now()

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        """The groups that exist, each with the rows of the users named."""
        self._check_open()
        return {gid: self._held_group(gid, users) for gid, users in wanted.items() if gid in self._groups}

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        """Write new versions, with their rows, where the expected one stands."""
        self._check_open()
        return [self._commit_group(change) for change in changes]

    def _commit_group(self, change: GroupChange) -> bool:
        group = change.group
        standing = self._groups.get(group.gid)
        if (0 if standing is None else standing.n) != change.expected:
            return False
        self._groups[group.gid] = group
        self._gids_made[group.maker].add(group.gid)
        self._groups_handed.setdefault(group.gid, Handed())
        self._groups_left[group.gid] = self.now()
        rows = self._people.setdefault(group.gid, {})
        self._last_members.pop(group.gid, None)
        if group.dismissed is not None:
            self._last_members[group.gid] = _members(rows)
        people = change.people if group.dismissed is None else dict.fromkeys(rows)
        for user, person in people.items():
            if person is None:
                rows.pop(user, None)
            else:
                rows[user] = person
            if person is not None and person.standing is Standing.MEMBER:
                self._gids_of[user].add(group.gid)
            else:
                take_out(self._gids_of, user, group.gid)
        return True

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        """Move marks."""
        self._check_open()
        for mark in marks:
            if mark.iid in self._groups_handed:
                self._groups_handed[mark.iid] = self._groups_handed[mark.iid].after(mark, self._groups[mark.iid].n)

    async def claim_unmarked_groups(self, lease_ms: int, limit: int) -> list[HeldGroup]:
        """Claim groups with events whose consequences may not have happened."""
        self._check_open()
        late = [gid for gid, group in self._groups.items() if self._groups_handed[gid].mark < group.n]
        return [self._held_group(gid, ()) for gid in claimed(self._groups_left, late, self.now(), lease_ms, limit)]

    async def people(self, gid: str, standing: Standing, after: str, limit: int) -> list[Person]:
        """The rows of this standing, by user id in byte order."""
        self._check_open()
        rows = self._people.get(gid, {})
        users = sorted((user for user, person in rows.items() if person.standing is standing), key=str.encode)
        return [rows[user] for user in users if user.encode() > after.encode()][:limit]

    async def last_members(self, gid: str, after: str, limit: int) -> list[str]:
        """Who was a member when it was dismissed, by id in byte order."""
        self._check_open()
        return [user for user in self._last_members.get(gid, ()) if user.encode() > after.encode()][:limit]

    async def groups_of(self, user: str, after: str, limit: int) -> list[tuple[str, int]]:
        """The groups the user is a member of, by id in byte order, each with its version."""
        self._check_open()
        gids = sorted(self._gids_of.get(user, ()), key=str.encode)
        return [(gid, self._groups[gid].n) for gid in gids if gid.encode() > after.encode()][:limit]

    def _forget_group(self, gid: str) -> None:
        take_out(self._gids_made, self._groups[gid].maker, gid)
        del self._groups[gid], self._groups_handed[gid], self._groups_left[gid], self._people[gid]
        self._last_members.pop(gid, None)

    def _held_group(self, gid: str, users: Collection[str]) -> HeldGroup:
        rows = self._people[gid]
        return HeldGroup(GroupView(self._groups[gid], {user: rows[user] for user in users if user in rows}),
                         self._groups_handed[gid].mark)  # fmt: skip


def _members(rows: Mapping[str, Person]) -> list[str]:
    return sorted((user for user, person in rows.items() if person.standing is Standing.MEMBER), key=str.encode)


def claimed(left: dict[str, int], late: Iterable[str], now: int, lease_ms: int, limit: int) -> list[str]:
    """Those of the late ones that were left for a lease, the longest first; they are claimed by this."""
    found = sorted((left[one], one.encode()) for one in late if left[one] <= now - lease_ms)[:limit]
    left.update((one.decode(), now) for _, one in found)
    return [one.decode() for _, one in found]


def take_out(sets: dict[str, set[str]], key: str, one: str) -> None:
    """Take an id out of one of these sets, and leave none that is empty behind."""
    if key in sets:
        sets[key].discard(one)
        if not sets[key]:
            del sets[key]
