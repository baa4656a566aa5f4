"""The invitations this device holds, by id."""

from collections.abc import Callable

from ringline.core.held import REMEMBER_S, HeldInvitation

Versions = dict[str, int]
"""The largest version seen, by invitation."""


class Holding(dict[str, HeldInvitation]):
    """All of them.

    Args:
        user: whose device this is.
    """

    def __init__(self, user: str) -> None:
        super().__init__()
        self._user = user

    def of(self, iid: str, gid: str = "") -> HeldInvitation:
        """The invitation of this id; held from now on, if it was not."""
        return self.setdefault(iid, HeldInvitation(iid, gid))

    def known(self) -> Versions:
        """The open ones that the user's own sync tells of; of those for others the group's does."""
        return {
            iid: held.seen
            for iid, held in self.items()
            if held.is_open and (not held.gid or held.has_part(self._user))
        }

    def known_in(self, gid: str) -> Versions:
        """The open ones made in this group."""
        return {iid: held.seen for iid, held in self.items() if held.gid == gid and held.is_open}

    def forget_in(self, gid: str) -> None:
        """Forget those made in this group that are for others."""
        for held in [held for held in self.values() if held.gid == gid and not held.has_part(self._user)]:
            del self[held.iid]

    def forget_over(self, now: float, tells_again: Callable[[int], bool]) -> None:
        """Forget what has been over for ten minutes, but not what the next sync would tell of once more."""
        over = [held for held in self.values() if held.over_at is not None and held.over_at + REMEMBER_S <= now]
        for held in over:
            if tells_again(held.ended_ts):
                held.over_at = now
            else:
                del self[held.iid]
