"""What each user takes of a store, counted in memory. Only for a store with one process."""

from collections.abc import Collection, Sequence

from ringline_broker.service.ports import Change, Usage

_NOTHING = [0, 0, 0]


class UsageCounts:
    """The sum of all that each user takes; nothing at first.

    Attributes:
        open: open invitations of all users.
    """

    def __init__(self) -> None:
        self.open = 0
        self._sums: dict[str, list[int]] = {}  # in the order of Usage; changed in place, since every commit does

    def of(self, users: Collection[str]) -> dict[str, Usage]:
        """Of these users; who takes nothing is left out."""
        return {user: Usage(*self._sums[user]) for user in users if user in self._sums}

    def add(self, user: str, opened: int = 0, size: int = 0, groups: int = 0) -> None:
        """Count what came or, below zero, went."""
        sums = self._sums.setdefault(user, [0, 0, 0])
        sums[0] += opened
        self.open += opened
        sums[1] += size
        sums[2] += groups
        if sums == _NOTHING:
            del self._sums[user]

    def committed(self, changes: Sequence[Change], written: Sequence[bool]) -> None:
        """Count what was written instead of what stood there, unless that was another user's: see `replaces`."""
        for change, done in zip(changes, written, strict=True):
            if not done:
                continue
            invitation = change.invitation
            if makes(change):
                self.add(invitation.inviter, int(invitation.ended is None), invitation.size)
            else:
                self.add(invitation.inviter, -int(_ends(change)), invitation.size - change.before)


def makes(change: Change) -> bool:
    """Whether the invitation was made by this change, in an empty place or in that of a tombstone."""
    return bool(change.invitation.seats) and change.invitation.events[0].n > change.expected


def replaces(change: Change) -> bool:
    """Whether the change makes an invitation in the place of a tombstone, which is another user's."""
    return change.expected > 0 and makes(change)


def _ends(change: Change) -> bool:
    """Whether an invitation that was open ends by this change."""
    invitation = change.invitation
    if invitation.ended is None or invitation.is_tombstone:
        return False
    for event in reversed(invitation.events):  # the end is the last of them, or the last but one
        if event.n <= change.expected:
            return False
        if event.end is not None:
            return True
    return False
