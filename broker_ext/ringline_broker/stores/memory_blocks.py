"""The blocklists of the reference model, in dictionaries."""

from collections.abc import Collection, Mapping

from ringline_broker.stores.closable import Closable


class MemoryBlocks(Closable):
    """The part of MemoryStore that keeps blocklists."""

    def __init__(self) -> None:
        super().__init__()
        self._masks: dict[str, dict[str, str]] = {}
        """Of each user who has a list: who is on it, with their mask."""

    async def block(self, user: str, masks: Mapping[str, str], limit: int) -> bool:
        """Add to the user's list, where it does not become too long."""
        self._check_open()
        listed = self._masks.get(user, {})
        longer = {**masks, **listed}
        if len(longer) > max(limit, len(listed)):
            return False
        if longer:
            self._masks[user] = longer
        return True

    async def unblock(self, user: str, users: Collection[str]) -> None:
        """Take users off the list."""
        self._check_open()
        left = {blocked: mask for blocked, mask in self._masks.pop(user, {}).items() if blocked not in users}
        if left:
            self._masks[user] = left

    async def blocked(self, user: str, after: str, limit: int) -> list[str]:
        """Who is on the list, in byte order."""
        self._check_open()
        listed = sorted(self._masks.get(user, ()), key=str.encode)
        return [blocked for blocked in listed if blocked.encode() > after.encode()][:limit]

    async def blocking(self, pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Of these pairs, those of which the first has the second on their list, each with its mask."""
        self._check_open()
        return {(user, other): self._masks[user][other] for user, other in pairs if other in self._masks.get(user, ())}
