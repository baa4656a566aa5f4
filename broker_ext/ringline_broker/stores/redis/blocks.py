"""The blocklists of the redis store, each in its user's shard."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from ringline_broker.stores.redis.base import RedisBase
from ringline_broker.stores.redis.scripts import Command, call


class RedisBlocks(RedisBase):
    """The part of RedisStore that keeps blocklists."""

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        """Add to the user's list, where it does not become too long."""
        self._check_open()
        args: list[str | bytes | int] = [limit, *(text for pair in masks.items() for text in pair)]
        return bool(await self._one(self._keys.shard(user), call("block", self._list_keys(user), args)))

    async def unblock(self, user: str, users: Collection[str]) -> None:
        """Take users off the list."""
        self._check_open()
        if users:
            await self._one(self._keys.shard(user), call("unblock", self._list_keys(user), [*users]))

    async def blocked(self, user: str, after: str, limit: int) -> list[str]:
        """Who is on the list, in byte order."""
        self._check_open()
        return await self._page("bo:", user, after, limit)

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Of these pairs, those of which the first has the second on their list, each with its mask."""
        self._check_open()
        lists: defaultdict[str, list[str]] = defaultdict(list)
        for user, other in pairs:
            lists[user].append(other)
        by_shard = self._by_shard(lists)
        asked: dict[int, list[Command]] = {
            shard: [("HMGET", self._keys.of("b:", user), *lists[user]) for user in users]
            for shard, users in by_shard.items()
        }
        replies = await self._each(asked) if asked else {}
        return {
            (user, other): mask.decode()
            for shard, users in by_shard.items()
            for user, masks in zip(users, replies[shard], strict=True)
            for other, mask in zip(lists[user], masks, strict=True)
            if mask is not None
        }

    def _list_keys(self, user: str) -> list[str]:
        return [self._keys.of("b:", user), self._keys.of("bo:", user)]
