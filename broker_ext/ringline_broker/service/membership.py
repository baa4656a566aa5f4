"""Who is a member of which group, as the store knows it now."""

from collections.abc import Iterable, Mapping

from ringline_broker.engine.groups.model import GroupView
from ringline_broker.service.ports import Store


async def views(store: Store, wanted: Mapping[str, Iterable[str]]) -> dict[str, GroupView]:
    """The groups as these users see them; of those that do not exist an empty view."""
    held = await store.load_groups({gid: tuple(users) for gid, users in wanted.items()})
    return {gid: held[gid].view if gid in held else GroupView(None) for gid in wanted}


async def is_member(store: Store, gid: str, user: str) -> bool:
    """Whether the user is a member now.

    Raises:
        StoreUnavailable: the store cannot tell.
    """
    return (await views(store, {gid: (user,)}))[gid].is_member(user)
