"""Invitations of which an event is missing, or that are past their time: the server is asked about just those."""

from collections.abc import Callable, Mapping
from typing import Final

from ringline.core.held import GAP_WAIT_S, HeldInvitation

ASK_LANE: Final = ("ask",)


class Asking:
    """Says which; one request at a time asks about them.

    Args:
        held: the invitations.
        is_syncing: whether the answer about a group is awaited, which tells of all that is open in it.

    Attributes:
        is_under_way: whether there is such a request.
    """

    def __init__(self, held: dict[str, HeldInvitation], is_syncing: Callable[[str], bool]) -> None:
        self._held = held
        self._is_syncing = is_syncing
        self.is_under_way = False

    def late(self, now: float) -> Mapping[str, int]:
        """Those to ask about now, with how far each was heard."""
        if self.is_under_way:
            return {}
        late = [held for held in self._held.values() if _is_late(held, now) and not self._is_left_alone(held, now)]
        for held in late:
            if held.is_strange:
                del self._held[held.iid]
        return {held.iid: held.seen for held in late if not held.is_strange}

    def _is_left_alone(self, held: HeldInvitation, now: float) -> bool:
        """Whether it is one that members heard of before this user joined, which the group's sync tells of."""
        if not held.is_strange or not self._is_syncing(held.gid):
            return False
        held.gap_since = now
        return True

    def asked(self, iids: Mapping[str, int] | None, now: float, again_at: float) -> None:
        """The answer came. Those the server had nothing new about are asked about again later."""
        for iid in iids or ():
            held = self._held.get(iid)
            if held is None or held.over_at is not None:
                continue
            if held.gap_since is not None:
                held.gap_since = now if held.early else None
            if held.check_at is not None and held.check_at <= now:
                held.check_at = again_at
            if held.is_empty:
                del self._held[iid]

    def next_at(self, held: HeldInvitation) -> float | None:
        """When to ask about this one."""
        if self.is_under_way or held.over_at is not None:
            return None
        gap_at = None if held.gap_since is None else held.gap_since + GAP_WAIT_S
        return min((at for at in (held.check_at, gap_at) if at is not None), default=None)


def _is_late(held: HeldInvitation, now: float) -> bool:
    return held.over_at is None and (
        (held.gap_since is not None and held.gap_since + GAP_WAIT_S <= now)
        or (held.check_at is not None and held.check_at <= now)
    )
