"""What the application is told, and what it is spared: no ring for what is over, and one end each."""

from collections.abc import Iterable

from ringline.core.callbacks import Callback, ended, missed, new_invitation, of_event
from ringline.core.held import HeldInvitation
from ringline.protocol.events import Cancelled, Event, Invited


class Story:
    """Tells one user's device of invitations."""

    def __init__(self, user: str, device: str) -> None:
        self._user = user
        self._device = device

    def tell(self, held: HeldInvitation, taken: list[Event], *, live: bool) -> list[Callback]:
        """The callbacks for events just taken, all of one invitation.

        Args:
            held: the invitation after them.
            taken: the events, in order.
            live: whether they came as they happened, and not by a sync.
        """
        if held.invited is None:
            return []
        if held.inviter == self._user:
            held.told = True
            return self._retell(held, taken)
        if not held.told:
            return self._introduce(held, taken, live=live)
        return self._retell(held, taken)

    def tell_gone(self, held: HeldInvitation) -> list[Callback]:
        """The callbacks for an invitation the server no longer knows."""
        return [ended(held)] if held.told else []

    def _introduce(self, held: HeldInvitation, taken: list[Event], *, live: bool) -> list[Callback]:
        invited = held.invited
        assert invited is not None  # noqa: S101 - tell saw to it
        if held.gid and not held.has_part(self._user):
            return self._show(held, taken, invited, live=live)
        if held.outcome == "notice" and live:
            held.told = True
            return [new_invitation(held, None, notice=True), ended(held)]
        if held.is_pending_for(self._user):
            if invited.ttl == 0 or held.gives_way_to is not None:
                return []  # about to end, or to give way: it is heard as missed if it does not
            held.told = True
            time_left = None if invited.ttl is None else invited.ttl / 1000
            rest = [event for event in taken if event is not invited]
            return [new_invitation(held, time_left), *self._retell(held, rest)]
        held.withdrawn = held.withdrawn or self._is_withdrawn_by(taken)
        if held.withdrawn:
            return []
        held.told = held.outcome is None
        return [missed(held, self._user, self._device)]

    def _show(self, held: HeldInvitation, taken: list[Event], invited: Invited, *, live: bool) -> list[Callback]:
        """Tell of an invitation for other members of a group; of one that is over only where it is a notice, live."""
        if held.outcome == "notice" and live:
            held.told = True
            return [new_invitation(held, None, notice=True, to_me=False), ended(held)]
        if held.outcome is not None or invited.ttl == 0:
            return []
        held.told = True
        time_left = None if invited.ttl is None else invited.ttl / 1000
        rest = [event for event in taken if event is not invited]
        return [new_invitation(held, time_left, to_me=False), *self._retell(held, rest)]

    def _retell(self, held: HeldInvitation, taken: list[Event]) -> list[Callback]:
        told = (of_event(event, held, self._user, self._device) for event in taken)
        callbacks = [callback for callback in told if callback is not None]
        if any(event.end is not None for event in taken):
            callbacks.append(ended(held))
        return callbacks

    def ring_after_all(self, freed: Iterable[HeldInvitation], now: float) -> list[Callback]:
        """The callbacks for invitations that gave way to another, and do not any more."""
        return [callback for held in freed for callback in self._ring_now(held, now)]

    def _ring_now(self, held: HeldInvitation, now: float) -> list[Callback]:
        time_left = None if held.rings_until is None else held.rings_until - now
        if held.told or not held.is_pending_for(self._user) or (time_left is not None and time_left <= 0):
            return []
        held.told = True
        return [new_invitation(held, time_left, data=held.data)]

    def _is_withdrawn_by(self, taken: list[Event]) -> bool:
        """Whether this user was let go because two invitations crossed: the other one is what they hear of."""
        return any(
            isinstance(event, Cancelled) and event.reason == "crossing" and self._user in event.out for event in taken
        )
