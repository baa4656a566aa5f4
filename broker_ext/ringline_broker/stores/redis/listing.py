"""Whose invitations are whose: indexes beside the records or, with more shards, hints that the records confirm."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ringline_broker.engine.model import Invitation
from ringline_broker.stores.record import decode
from ringline_broker.stores.redis.base import RedisBase
from ringline_broker.stores.redis.scripts import call
from ringline_broker.stores.redis.values import Record, group_of, parties_of, read

_LEAST, _MOST = 16, 128
"""How much of an index is read at once."""
_OVER: Final = 0
"""What the script says of a record that is over and not asked for."""


class RedisListing(RedisBase):
    """The part of RedisStore that lists invitations."""

    async def of_user(self, user: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        """Invitations of a user, by id in byte order."""
        self._check_open()
        return await self._listed("u:", user, since_ms, after, limit)

    async def of_group(self, gid: str, after: str, limit: int) -> list[Invitation]:
        """The open invitations made in the group, by id in byte order."""
        self._check_open()
        return await self._listed("o:", gid, None, after, limit) if gid else []

    async def _listed(self, kind: str, name: str, since_ms: int | None, after: str, limit: int) -> list[Invitation]:
        found: list[Invitation] = []
        while len(found) < limit:
            size = max(_LEAST, min(limit - len(found), _MOST))
            iids = await self._page(kind, name, after, size)
            selected = await self._select(iids, since_ms)
            records = {iid: one for iid, one in selected.records.items() if _is_of(one, kind, name)}
            led_somewhere = {*records, *(selected.over if kind == "u:" else ())}
            await self._prune({(kind, name): [iid for iid in iids if iid not in led_somewhere]})
            found += [decode(records[iid].body) for iid in iids if iid in records]
            if len(iids) < size:
                break
            after = iids[-1]
        return found[:limit]

    async def _select(self, iids: Sequence[str], since_ms: int | None) -> "_Selected":
        by_shard = self._by_shard(iids)
        since = "" if since_ms is None else since_ms
        asked = {
            shard: [call("select", [self._keys.of("i:", iid) for iid in some], [since])]
            for shard, some in by_shard.items()
        }
        replies = await self._each(asked) if asked else {}
        selected = _Selected({}, set())
        for shard, some in by_shard.items():
            for iid, text in zip(some, replies[shard][0], strict=True):
                if text == _OVER:
                    selected.over.add(iid)
                elif text is not None:
                    selected.records[iid] = read(text)
        return selected


class _Selected(NamedTuple):
    """The records that were asked for, and the ids of those that are over and were not."""

    records: dict[str, Record]
    over: set[str]


def _is_of(record: Record, kind: str, name: str) -> bool:
    return name in parties_of(record) if kind == "u:" else name == group_of(record)
