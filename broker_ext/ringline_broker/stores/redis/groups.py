"""The groups of the redis store: a record a group, and beside it one hash with a row a person."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ringline_broker.engine.groups.model import GroupView, Person, Standing
from ringline_broker.service.ports import GroupChange, HeldGroup, Mark
from ringline_broker.stores.group_record import decode_group, decode_person, encode_group, encode_person
from ringline_broker.stores.redis.base import RedisBase, in_places
from ringline_broker.stores.redis.keys import LETTERS
from ringline_broker.stores.redis.scripts import Command, Reply, call
from ringline_broker.stores.redis.values import group_meta, read

_AT_ONCE: Final = 16
"""So many changes one script makes."""
_PAGE: Final = 128


class RedisGroups(RedisBase):
    """The part of RedisStore that keeps groups."""

    async def load_groups(self, wanted: Mapping[str, Collection[str]]) -> dict[str, HeldGroup]:
        """The groups that exist, each with the rows of the users named."""
        self._check_open()
        users = {gid: tuple(dict.fromkeys(some)) for gid, some in wanted.items()}
        by_shard = self._by_shard(users)
        # A group first and then its rows: rows that are newer than their group make the commit fail that relies on it.
        asked: dict[int, list[Command]] = {
            shard: [command for gid in gids for command in self._load_commands(gid, users[gid])]
            for shard, gids in by_shard.items()
        }
        replies = await self._each(asked) if asked else {}
        found: dict[str, HeldGroup] = {}
        for shard, gids in by_shard.items():
            said = iter(replies[shard])
            for gid in gids:
                text, rows = next(said), next(said) if users[gid] else ()
                if text is not None:
                    found[gid] = _held(text, rows)
        return found

    async def commit_groups(self, changes: Sequence[GroupChange]) -> list[bool]:
        """Write new versions, with their rows, where the expected one stands."""
        self._check_open()
        parts = self._parts([change.group.gid for change in changes], _AT_ONCE)
        asked = {
            shard: [self._group_command(shard, [changes[at] for at in part]) for part in some]
            for shard, some in parts.items()
        }
        if not changes:
            return []
        if not self._keys.indexed:
            return in_places(parts, await self._whole(self._commit_groups_with_hints(changes, asked)))
        return in_places(parts, await self._each(asked))

    async def mark_groups(self, marks: Sequence[Mark]) -> None:
        """Move marks, with the next pipeline."""
        await self._move_marks("g", marks)

    async def claim_unmarked_groups(self, lease_ms: int, limit: int) -> list[HeldGroup]:
        """Claim groups with events whose consequences may not have happened."""
        self._check_open()
        now = self.now()
        gids = await self._claim("unmarked:g", now - lease_ms, now, limit)
        texts = await self._read("g:", gids)
        held = [_held(texts[gid], ()) for gid in gids if gid in texts]
        return [one for one in held if one.view.group is not None and one.mark < one.view.group.n]

    async def people(self, gid: str, standing: Standing, after: str, limit: int) -> list[Person]:
        """The rows of this standing, by user id in byte order."""
        self._check_open()
        keys = [self._keys.of(f"s:{LETTERS[standing]}:", gid), self._keys.of("p:", gid)]
        start = b"(" + after.encode() if after else b"-"
        rows = await self._one(self._keys.shard(gid), call("people", keys, [start, limit]))
        return [decode_person(row[1:]) for row in rows if row is not None]

    async def last_members(self, gid: str, after: str, limit: int) -> list[str]:
        """Who was a member when it was dismissed, by id in byte order."""
        self._check_open()
        return await self._page("f:", gid, after, limit)

    async def groups_of(self, user: str, after: str, limit: int) -> list[tuple[str, int]]:
        """The groups the user is a member of, by id in byte order, each with its version."""
        self._check_open()
        found: list[tuple[str, int]] = []
        while len(found) < limit:
            size = min(limit - len(found), _PAGE)
            gids = await self._page("m:", user, after, size)
            versions = await self._versions(user, gids)
            await self._prune({("m:", user): [gid for gid in gids if gid not in versions]})
            found += [(gid, versions[gid]) for gid in gids if gid in versions]
            if len(gids) < size:
                break
            after = gids[-1]
        return found

    def _load_commands(self, gid: str, users: Sequence[str]) -> list[Command]:
        asked: list[Command] = [("GET", self._keys.of("g:", gid))]
        if users:
            asked.append(("HMGET", self._keys.of("p:", gid), *users))
        return asked

    async def _versions(self, user: str, gids: Sequence[str]) -> dict[str, int]:
        """Of those groups that the user is a member of, as the groups themselves say."""
        by_shard = self._by_shard(gids)
        asked: dict[int, list[Command]] = {}
        for shard, some in by_shard.items():
            asked[shard] = [("GETRANGE", self._keys.of("g:", gid), 0, 3) for gid in some]
            asked[shard] += [("ZSCORE", self._keys.of(f"s:{LETTERS[Standing.MEMBER]}:", gid), user) for gid in some]
        replies = await self._each(asked) if asked else {}
        return {
            gid: int.from_bytes(replies[shard][at])
            for shard, some in by_shard.items()
            for at, gid in enumerate(some)
            if replies[shard][at + len(some)] is not None
        }

    async def _commit_groups_with_hints(
        self, changes: Sequence[GroupChange], asked: Mapping[int, Sequence[Command]]
    ) -> dict[int, list[Reply]]:
        hints: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for group, _, people in changes:
            for user, person in people.items():
                if person is not None and person.standing is Standing.MEMBER and group.dismissed is None:
                    hints["m:", user].append(group.gid)
        await self._hint(hints)
        return await self._each(asked)

    def _group_command(self, shard: int, changes: Sequence[GroupChange]) -> Command:
        base, now = self._keys.base(shard), self.now()
        keys = [f"{base}clock", f"{base}unmarked:g", f"{base}over"]
        args: list[str | bytes | int] = []
        for change in changes:
            self._add(base, change, now, keys, args)
        newest = max(now * 1_000, self._tickets.last)
        return call("commit_groups", keys, [newest, now, base, "1" if self._keys.indexed else "", *args])

    def _add(self, base: str, change: GroupChange, now: int, keys: list[str], args: list[str | bytes | int]) -> None:
        """Say one change to the script, as it wants it."""
        group, expected, people = change
        gid = group.gid
        put = {user: one for user, one in people.items() if one is not None}
        drop = [user for user, one in people.items() if one is None]
        keys += [f"{base}g:{gid}", f"{base}p:{gid}", f"{base}c:{group.maker}"]
        keys += [f"{base}s:{letter}:{gid}" for letter in LETTERS.values()]
        keys.append(f"{base}f:{gid}")
        if self._keys.indexed:
            keys += [f"{base}m:{user}" for user in (*put, *drop)]
        ticket = 0 if expected else self._tickets.next(now)
        dismissed = "" if group.dismissed is None else group.dismissed
        args += [gid, expected, group.n, dismissed, ticket, group_meta(group), encode_group(group), len(put), len(drop)]
        for user, one in put.items():
            letter = LETTERS[one.standing]
            args += [user, letter, letter.encode() + encode_person(one)]
        args += drop


def _held(text: bytes, rows: Sequence[bytes | None]) -> HeldGroup:
    record = read(text)
    people = [decode_person(row[1:]) for row in rows if row is not None]
    return HeldGroup(GroupView(decode_group(record.body), {one.user: one for one in people}), record.handed.mark)
