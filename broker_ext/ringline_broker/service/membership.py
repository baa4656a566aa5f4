"""Who is a member of which group, as the store knows it now."""

from collections.abc import AsyncIterator, Iterable, Mapping
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
        self._kept: dict[str, list[str]] = {}

    async def of(self, gids: Iterable[str]) -> dict[str, list[str]] | None:
        """The members of these groups, by group; None where the broker has topics for groups.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        if self._binding.has_group_topics:
            return None
        return {gid: self._kept.get(gid) or [user async for user in self._members(gid)] for gid in gids}

    async def keep(self, gids: Iterable[str]) -> None:
        """Remember who the members of groups are that are about to be dismissed: they are to hear of it.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        self._kept.update(await self.of(gids) or {})

    def let_go(self, gids: Iterable[str]) -> None:
        """Forget them; they have heard of it."""
        for gid in gids:
            self._kept.pop(gid, None)

    async def _members(self, gid: str) -> AsyncIterator[str]:
        after = ""
        while found := await self._store.people(gid, Standing.MEMBER, after, _AT_ONCE):
            for person in found:
                yield person.user
            after = found[-1].user


async def is_member(store: Store, gid: str, user: str) -> bool:
    """Whether the user is a member now.

    Raises:
        StoreUnavailable: the store cannot tell.
    """
    return (await views(store, {gid: (user,)}))[gid].is_member(user)
