"""Who is a member of which group, as the store knows it now."""

from collections.abc import Iterable, Mapping
from typing import Final

from ringline_broker.engine.groups.model import GroupView, Standing
from ringline_broker.service.ports import Binding, Store

_AT_ONCE: Final = 1_024


async def views(store: Store, wanted: Mapping[str, Iterable[str]]) -> dict[str, GroupView]:
    """The groups as these users see them; of those that do not exist an empty view."""
    held = await store.load_groups({gid: tuple(users) for gid, users in wanted.items()})
    return {gid: held[gid].view if gid in held else GroupView(None) for gid in wanted}


class Audience:
    """Who hears what all members of a group hear, where the broker has no topic for them.

    Args:
        store: where members are kept.
        binding: tells whether it is needed.
    """

    def __init__(self, store: Store, binding: Binding) -> None:
        self._store = store
        self._binding = binding

    async def of(self, gids: Iterable[str]) -> dict[str, list[str]] | None:
        """The members of these groups, of those that were dismissed the last ones, by group; None where the broker has
        topics for groups.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        if self._binding.has_group_topics:
            return None
        return {gid: await self._members(gid) or await self._last_members(gid) for gid in gids}

    async def _members(self, gid: str) -> list[str]:
        users: list[str] = []
        while found := await self._store.people(gid, Standing.MEMBER, users[-1] if users else "", _AT_ONCE):
            users += [person.user for person in found]
        return users

    async def _last_members(self, gid: str) -> list[str]:
        users: list[str] = []
        while found := await self._store.last_members(gid, users[-1] if users else "", _AT_ONCE):
            users += found
        return users


async def is_member(store: Store, gid: str, user: str) -> bool:
    """Whether the user is a member now.

    Raises:
        StoreUnavailable: the store cannot tell.
    """
    return (await views(store, {gid: (user,)}))[gid].is_member(user)
