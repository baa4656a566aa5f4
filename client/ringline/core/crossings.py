"""Two users who invite each other at once: which invitations crossed, and which of this device's give way.

The lower id by bytes stands; the other is cancelled by whoever made it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ringline.core.held import HeldInvitation
from ringline.protocol.events import Event
from ringline.protocol.requests import Invite


@dataclass(frozen=True, slots=True)
class Crossing:
    """An invitation of this device that gives way: cancel it for this invitee, whose own one stands."""

    iid: str
    invitee: str
    standing: str


class Crossings:
    """Finds them for one user's device."""

    def __init__(self, user: str, device: str) -> None:
        self._user = user
        self._device = device
        self._unconfirmed: frozenset[str] = frozenset()
        self._doubtful: list[Crossing] = []

    def doubt(self, iids: Iterable[str]) -> None:
        """A sync begins: these were open when the connection was lost, and may be over."""
        self._unconfirmed = frozenset(iids)

    def look(
        self, held: HeldInvitation, others: Iterable[HeldInvitation], waiting: Iterable[Invite], *, live: bool
    ) -> list[Crossing]:
        """Find invitations that crossed this one, mark both, and say which of this device's give way now: to one that
        may be over, none does before the sync has told.

        Args:
            held: the invitation.
            others: those held.
            waiting: the invites of this device that have no answer.
            live: whether it was heard as it happened, and not by a sync.
        """
        found = self._find(held, others, waiting)
        doubtful = [c for c in found if live and c.standing in self._unconfirmed and c.standing != held.iid]
        self._doubtful += doubtful
        return [crossing for crossing in found if crossing not in doubtful]

    def settle(
        self, held: Mapping[str, HeldInvitation], waiting: Sequence[Invite]
    ) -> tuple[list[Crossing], list[HeldInvitation]]:
        """The sync is complete: what is held as open is open.

        Returns:
            Which of this device's give way that were in doubt; and which give way no more, because they were made when
            what they gave way to was over.
        """
        doubtful, self._doubtful, self._unconfirmed = self._doubtful, [], frozenset()
        is_open = {crossing: crossing.standing in held and held[crossing.standing].is_open for crossing in doubtful}
        freed = [one for one in held.values() if self._came_later(one, held.get(one.gives_way_to or ""))]
        again = freed + [held[crossing.iid] for crossing in doubtful if not is_open[crossing] and crossing.iid in held]
        for one in again:
            one.gives_way_to, one.crossing = None, False
        crossings = [crossing for crossing in doubtful if is_open[crossing]]
        for one in again:
            crossings += self.look(one, held.values(), waiting, live=False)
        return crossings, [one for one in freed if one.gives_way_to is None]

    def release(self, failed: str, held: Iterable[HeldInvitation]) -> list[HeldInvitation]:
        """This device's invitation came to nothing: say which give way to it no more."""
        freed = [one for one in held if one.gives_way_to == failed]
        for one in freed:
            one.gives_way_to, one.crossing = None, False
        return freed

    def free(
        self, held: HeldInvitation, taken: Sequence[Event], others: Iterable[HeldInvitation]
    ) -> list[HeldInvitation]:
        """An invitation came to be, and by then some had settled: they never were to ring for it. Or it is over, and
        was when another was made. Say which give way to it no more.
        """
        giving_way = [one for one in others if one.gives_way_to == held.iid]
        is_new = held.invited in taken
        return self.release(
            held.iid,
            [one for one in giving_way if (is_new and one.inviter in held.parts) or self._came_later(one, held)],
        )

    @staticmethod
    def _came_later(one: HeldInvitation, standing: HeldInvitation | None) -> bool:
        """Whether it was made when the other was over. In the same millisecond it was not: who answers and rings then
        does both at once, and takes back what they rang.
        """
        return standing is not None and one.invited is not None and one.invited.ts > standing.ended_ts > 0

    def _find(
        self, held: HeldInvitation, others: Iterable[HeldInvitation], waiting: Iterable[Invite]
    ) -> list[Crossing]:
        if held.crossing or not held.is_open:
            return []
        found = [
            self._cross(*self._sorted(held, other))
            for other in others
            if not other.crossing and (self._do_cross(held, other) or self._did_cross(held, other))
        ]
        if held.is_pending_for(self._user) and not held.crossing:
            found += [
                self._cross_unsent(invite.iid, held)
                for invite in waiting
                if held.inviter in invite.to and invite.answers != 0
            ]
        return [crossing for crossing in found if crossing is not None]

    def _do_cross(self, one: HeldInvitation, other: HeldInvitation) -> bool:
        if (one.inviter == self._user) == (other.inviter == self._user):
            return False
        return one.is_pending_for(other.inviter) and other.is_pending_for(one.inviter)

    def _did_cross(self, own: HeldInvitation, over: HeldInvitation) -> bool:
        """Whether this user's invitation, heard of only now, was made before the other was over: the other side, who
        may have heard of it at once, lets it give way. Of one with more invitees it is not known when each settled.
        """
        return (
            own.inviter == self._user
            and own.invited is not None
            and over.ended_ts >= own.invited.ts > 0
            and own.is_pending_for(over.inviter)
            and over.outcome != "dropped"
            and over.invited is not None
            and over.invited.answers != 0  # a notice is over when it is made
            and over.invited.to == (self._user,)
            and over.iid.encode() < own.iid.encode()
        )

    def _sorted(self, one: HeldInvitation, other: HeldInvitation) -> tuple[HeldInvitation, HeldInvitation]:
        """The outgoing one first."""
        return (one, other) if one.inviter == self._user else (other, one)

    def _cross(self, outgoing: HeldInvitation, incoming: HeldInvitation) -> Crossing | None:
        outgoing.crossing = True
        crossing = self._cross_unsent(outgoing.iid, incoming)
        made_here = outgoing.invited is not None and outgoing.invited.dev == self._device
        return crossing if made_here else None

    def _cross_unsent(self, outgoing: str, incoming: HeldInvitation) -> Crossing | None:
        incoming.crossing = True
        if incoming.iid.encode() < outgoing.encode():
            return Crossing(outgoing, incoming.inviter, incoming.iid)
        incoming.gives_way_to = outgoing
        return None
