"""The distributed store: see this package's docstring for what lies where, and open_store for its URL."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ringline_broker.service.ports import Change, Clock, Held, Mark, Usage
from ringline_broker.stores.record import decode, encode
from ringline_broker.stores.redis.base import in_places
from ringline_broker.stores.redis.blocks import RedisBlocks
from ringline_broker.stores.redis.groups import RedisGroups
from ringline_broker.stores.redis.listing import RedisListing
from ringline_broker.stores.redis.opening import inspect
from ringline_broker.stores.redis.scripts import Command, Reply, call
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.url import Options
from ringline_broker.stores.redis.values import Record, invitation_meta, read
from ringline_broker.stores.usage import makes

_AT_ONCE: Final = 32
"""So many changes one script makes; while it does, the server does nothing else."""
_PURGE_AT_ONCE: Final = 200
_COUNTS: Final = ("o", "b", "g")
"""In the order of Usage."""
_NOTHING: Final = Usage()


class RedisStore(RedisGroups, RedisBlocks, RedisListing):
    """Keeps invitations, groups and blocklists in redis or valkey, for any number of processes.

    Opening it asks all servers whether they can be used, and waits for them.

    Args:
        options: how it is reached, and what it promises.
        clock: its monotonic time is used between two looks at the server's.
        time: for tests; where store time comes from, if not from the server.

    Raises:
        StoreUnavailable: it cannot be opened; the message says what to do.
    """

    def __init__(self, options: Options, clock: Clock, time: ServerTime | None = None) -> None:
        super().__init__(inspect(options, time or ServerTime(clock)))

    async def load(self, iids: Collection[str]) -> dict[str, Held]:
        """The invitations that exist, by id."""
        self._check_open()
        return {iid: _held(read(text)) for iid, text in (await self._read("i:", iids)).items()}

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write new versions where the expected one stands."""
        self._check_open()
        parts = self._parts([change.invitation.iid for change in changes], _AT_ONCE)
        asked = {
            shard: [self._commit_command(shard, [changes[at] for at in part]) for part in some]
            for shard, some in parts.items()
        } or {shard: [self._commit_command(shard, ())] for shard in self._keys.shards}
        if not self._keys.indexed:
            return in_places(parts, await self._whole(self._commit_with_hints(changes, asked)))
        return in_places(parts, await self._each(asked))

    async def claim_due(self, lease_ms: int, limit: int) -> list[str]:
        """Claim what is due."""
        self._check_open()
        now = self.now()
        return await self._claim("due", now, now + lease_ms, limit)

    async def next_due(self) -> int | None:
        """When the next invitation is due."""
        self._check_open()
        due = await self._earliest("due", "+inf", 1)
        return due[0][0] if due else None

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Move marks, with the next pipeline."""
        await self._move_marks("i", marks)

    async def claim_unmarked(self, lease_ms: int, limit: int) -> list[Held]:
        """Claim invitations with events that may not have been handed over."""
        self._check_open()
        now = self.now()
        iids = await self._claim("unmarked:i", now - lease_ms, now, limit)
        texts = await self._read("i:", iids)
        records = [read(texts[iid]) for iid in iids if iid in texts]
        return [_held(record) for record in records if record.handed.mark < record.n]

    async def count_open(self) -> int:
        """How many invitations are open."""
        self._check_open()
        # all that are open come due one day, and nothing else does
        counts = await self._each({shard: [("ZCARD", f"{self._keys.base(shard)}due")] for shard in self._keys.shards})
        return sum(int(count) for (count,) in counts.values())

    async def usage(self, users: Collection[str]) -> Mapping[str, Usage]:
        """What each user takes: each shard counts, exactly, what it has of theirs."""
        self._check_open()
        if not users:
            return {}
        wanted = tuple(dict.fromkeys(users))
        asked: dict[int, list[Command]] = {
            shard: [("HMGET", f"{self._keys.base(shard)}c:{user}", *_COUNTS) for user in wanted]
            for shard in self._keys.shards
        }
        replies = await self._each(asked)
        sums = {user: _sum(rows) for user, *rows in zip(wanted, *replies.values(), strict=True)}
        return {user: usage for user, usage in sums.items() if usage != _NOTHING}

    async def purge(self, before_ms: int, limit: int) -> int:
        """Forget what ended before."""
        self._check_open()
        return await self._whole(self._purge(before_ms, limit))

    async def close(self) -> None:
        """Finish what is waiting and let go of the connections."""
        self._closed = True
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._servers.close()

    def _commit_command(self, shard: int, changes: Sequence[Change]) -> Command:
        base, now, indexed = self._keys.base(shard), self.now(), self._keys.indexed
        keys = [f"{base}clock", f"{base}due", f"{base}unmarked:i", f"{base}over"]
        args: list[str | bytes | int] = []
        for change in changes:
            one, expected, _ = change
            ticket = 0 if expected else self._tickets.next(now)
            of_group = (f"{base}o:{one.gid}",) if indexed and one.gid and not one.is_tombstone else ()
            parties = one.parties if one.seats else ()
            listed = [f"{base}u:{user}" for user in dict.fromkeys(parties)] if indexed and makes(change) else ()
            due = "" if one.due is None else one.due
            keys += [f"{base}i:{one.iid}", f"{base}c:{one.inviter}", *of_group, *listed]
            args += [one.iid, expected, one.n, due, ticket, len(of_group), len(listed)]
            args += [invitation_meta(one, parties), encode(one)]
        return call("commit", keys, [max(now * 1_000, self._tickets.last), now, base, *args])

    async def _commit_with_hints(
        self, changes: Sequence[Change], asked: Mapping[int, Sequence[Command]]
    ) -> dict[int, list[Reply]]:
        """Hints first: a crash between leaves one that leads nowhere, and no invitation that nobody finds."""
        hints: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for change in changes:
            one = change.invitation
            if makes(change):
                for user in one.parties:
                    hints["u:", user].append(one.iid)
                if one.gid and one.ended is None:
                    hints["o:", one.gid].append(one.iid)
        await self._hint(hints)
        return await self._each(asked)

    async def _purge(self, before_ms: int, limit: int) -> int:
        shares: Mapping[int, int] = {0: limit}
        if not self._keys.indexed:
            old = await self._earliest("over", f"({before_ms}", limit)
            shares = Counter(shard for _, _, shard in old)
        return sum([await self._purge_shard(shard, before_ms, share) for shard, share in shares.items()])

    async def _purge_shard(self, shard: int, before_ms: int, limit: int) -> int:
        """In parts: while a script runs, the server does nothing else."""
        base, indexed = self._keys.base(shard), "1" if self._keys.indexed else ""
        keys = [f"{base}over", f"{base}unmarked:i", f"{base}unmarked:g"]
        count = 0
        while count < limit:
            size = min(limit - count, _PURGE_AT_ONCE)
            gone = await self._one(shard, call("purge", keys, [base, before_ms, size, indexed]))
            count += len(gone)
            await self._prune_gone(gone)
            if len(gone) < size:
                break
        return count

    async def _prune_gone(self, gone: Sequence[Sequence[Reply]]) -> None:
        hints: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for kind, iid, *of in gone:
            if kind == b"0" and of:
                gid, parties = of
                for user in parties:
                    hints["u:", user.decode()].append(iid.decode())
                if gid:
                    hints["o:", gid.decode()].append(iid.decode())
        await self._prune(hints)


def _held(record: Record) -> Held:
    return Held(decode(record.body), record.handed.mark)


def _sum(rows: Sequence[Sequence[bytes | None]]) -> Usage:
    """What a user takes of all shards."""
    return Usage(*[sum([int(one or 0) for one in counts]) for counts in zip(*rows, strict=True)])
