"""What every part of the redis store needs: its servers, its keys, its time, and whether it is open."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from ringline_broker.service.ports import Mark
from ringline_broker.stores.closable import Closable
from ringline_broker.stores.redis.keys import Keys
from ringline_broker.stores.redis.scripts import Command, Reply, call
from ringline_broker.stores.redis.server_time import ServerTime, Tickets
from ringline_broker.stores.redis.servers import Servers

HINT_AGE_MS: Final = 60_000
"""A hint that leads nowhere is kept so long: the record may still be on its way, and calls take seconds at most."""
_MARKS_AT_ONCE: Final = 256
T = TypeVar("T")


class Tools(NamedTuple):
    """What the store is made of.

    Attributes:
        servers: run commands.
        keys: name keys.
        time: says what time it is.
        tickets: order records by age.
    """

    servers: Servers
    keys: Keys
    time: ServerTime
    tickets: Tickets


class RedisBase(Closable):
    """The parts of RedisStore have this in common."""

    def __init__(self, tools: Tools) -> None:
        super().__init__()
        self._servers, self._keys, self._time, self._tickets = tools
        self._under_way: set[asyncio.Task[Any]] = set()

    def now(self) -> int:
        """Store time, epoch milliseconds."""
        return self._time.now()

    async def _one(self, shard: int, command: Command) -> Reply:
        return (await self._servers.run(shard, (command,)))[0]

    async def _each(self, commands: Mapping[int, Sequence[Command]]) -> dict[int, list[Reply]]:
        """Have commands done in several shards at once; the replies, by shard."""
        if len(commands) == 1:
            ((shard, some),) = commands.items()
            return {shard: await self._servers.run(shard, some)}
        replies = await asyncio.gather(*(self._servers.run(shard, some) for shard, some in commands.items()))
        return dict(zip(commands, replies, strict=True))

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do all steps of this, also where the caller gives up between two."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def _by_shard(self, names: Collection[str]) -> dict[int, list[str]]:
        """These ids or users, each once, by where they belong."""
        sorted_: defaultdict[int, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            sorted_[self._keys.shard(name)].append(name)
        return sorted_

    def _parts(self, names: Sequence[str], size: int) -> dict[int, list[list[int]]]:
        """The places of these ids, by where they belong, in parts of this size."""
        places: defaultdict[int, list[int]] = defaultdict(list)
        for at, name in enumerate(names):
            places[self._keys.shard(name)].append(at)
        return {
            shard: [some[at : at + size] for at in range(0, len(some), size)] for shard, some in places.items()
        }

    async def _read(self, kind: str, names: Collection[str]) -> dict[str, bytes]:
        """The strings of this kind that are there, by name."""
        by_shard = self._by_shard(names)
        asked = {
            shard: [("MGET", *(self._keys.of(kind, name) for name in some))] for shard, some in by_shard.items()
        }
        replies = await self._each(asked) if asked else {}
        return {
            name: text
            for shard, some in by_shard.items()
            for name, text in zip(some, replies[shard][0], strict=True)
            if text is not None
        }

    async def _move_marks(self, kind: str, marks: Sequence[Mark]) -> None:
        """Move marks with the next pipeline; a mark may lag, and so nobody waits for it."""
        self._check_open()
        by_shard: defaultdict[int, list[Mark]] = defaultdict(list)
        for mark in marks:
            by_shard[self._keys.shard(mark.iid)].append(mark)
        for shard, some in by_shard.items():
            unmarked = f"{self._keys.base(shard)}unmarked:{kind}"
            for at in range(0, len(some), _MARKS_AT_ONCE):
                part = some[at : at + _MARKS_AT_ONCE]
                keys = [unmarked, *(self._keys.of(f"{kind}:", mark.iid) for mark in part)]
                await self._servers.later(shard, [call("mark", keys, [value for mark in part for value in mark])])

    async def _claim(self, index: str, until: int, to: int, limit: int) -> list[str]:
        """The first ids of an index by time, of all shards, up to a time; each is pushed out to another."""
        if self._keys.indexed:
            return [one.decode() for one in await self._one(0, self._claim_command(0, index, until, to, limit))]
        claimed: list[str] = []
        while len(claimed) < limit and (first := await self._earliest(index, str(until), limit - len(claimed))):
            shares = Counter(shard for _, _, shard in first)
            asked = {shard: [self._claim_command(shard, index, until, to, n)] for shard, n in shares.items()}
            place = {one: at for at, (_, one, _) in enumerate(first)}
            got = [one for (ids,) in (await self._each(asked)).values() for one in ids]  # fewer: others were faster
            claimed += [one.decode() for one in sorted(got, key=lambda one: place.get(one, len(place)))]
            if to <= until:  # a lease of nothing: they would be first again
                break
        return claimed

    def _claim_command(self, shard: int, index: str, until: int, to: int, limit: int) -> Command:
        return call("claim", [f"{self._keys.base(shard)}{index}"], [until, to, limit])

    async def _earliest(self, index: str, until: str, limit: int) -> list[tuple[int, bytes, int]]:
        """The first of all shards: score, member and shard."""
        asked: dict[int, list[Command]] = {
            shard: [
                ("ZRANGEBYSCORE", f"{self._keys.base(shard)}{index}", "-inf", until, "WITHSCORES", "LIMIT", 0, limit)
            ]
            for shard in self._keys.shards
        }
        found: list[tuple[int, bytes, int]] = []
        for shard, (rows,) in (await self._each(asked)).items():
            found += [(int(score), name, shard) for name, score in zip(rows[::2], rows[1::2], strict=True)]
        return sorted(found)[:limit]

    async def _page(self, kind: str, name: str, after: str, limit: int) -> list[str]:
        """A page of an index, in byte order."""
        start = b"(" + after.encode() if after else b"-"
        asked: Command = ("ZRANGEBYLEX", self._keys.of(kind, name), start, "+", "LIMIT", 0, limit)
        return [one.decode() for one in await self._one(self._keys.shard(name), asked)]

    async def _hint(self, hints: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Write hints, where indexes are hints: ids, by kind of index and whose it is."""
        asked: defaultdict[int, list[Command]] = defaultdict(list)
        for (kind, name), ids in hints.items():
            asked[self._keys.shard(name)].append(call("hint", self._hint_keys(kind, name), [self.now(), *ids]))
        if asked:
            await self._each(asked)

    async def _prune(self, hints: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Take out hints that lead nowhere, soon."""
        before = self.now() - HINT_AGE_MS
        for (kind, name), ids in hints.items():
            if ids and not self._keys.indexed:
                command = call("prune", self._hint_keys(kind, name), [before, *ids])
                await self._servers.later(self._keys.shard(name), [command])

    def _hint_keys(self, kind: str, name: str) -> list[str]:
        return [self._keys.of(kind, name), self._keys.of(f"{kind[0]}t:", name)]


def in_places(parts: Mapping[int, Sequence[Sequence[int]]], replies: Mapping[int, Sequence[Reply]]) -> list[bool]:
    """What scripts said of each place, where one was asked of each part."""
    said = {
        place: bool(one)
        for shard, some in parts.items()
        for part, reply in zip(some, replies[shard], strict=True)
        for place, one in zip(part, reply, strict=True)
    }
    return [said[place] for place in range(len(said))]
