"""What rings already of an invitation of this user that this device has not heard of."""

from typing import Final

from ringline.protocol.events import NowRinging

_INVITATIONS: Final = 64
_DEVICES: Final = 64


class EarlyRinging:
    """Keeps `ringing` until the invitation is heard of: the inviter's own copy of it is published last, since it says
    who is offline, and an invitee may be faster than that. Of many invitations the newest are kept.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[NowRinging]] = {}

    def keep(self, event: NowRinging) -> None:
        """Put it by."""
        some = self._kept.setdefault(event.iid, [])
        if len(some) < _DEVICES:
            some.append(event)
        if len(self._kept) > _INVITATIONS:
            del self._kept[next(iter(self._kept))]

    def take(self, iid: str) -> list[NowRinging]:
        """What was put by of an invitation, in the order in which it came."""
        return self._kept.pop(iid, [])
