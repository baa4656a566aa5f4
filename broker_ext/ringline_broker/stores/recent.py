"""What a store saw last, so that it need not be read and decoded again. Only for a store with one process."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final

from ringline_broker.service.ports import Change, Held, Mark

_MAX_ENTRIES: Final = 4_096
_MAX_BYTES: Final = 8_388_608
"""Of invitations as `Invitation.size` counts them."""


class Recent:
    """Invitations as they were committed last, the longest unused forgotten first."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0

    def get(self, iids: Collection[str]) -> dict[str, Held]:
        """Those of them that are remembered."""
        found: dict[str, Held] = {}
        for iid in iids:
            held = self._held.get(iid)
            if held is not None:
                self._held.move_to_end(iid)
                found[iid] = held
        return found

    def committed(self, changes: Sequence[Change], written: Sequence[bool]) -> None:
        """Remember what was written, and forget what was not: somebody knew better."""
        for (invitation, expected, _), done in zip(changes, written, strict=True):
            known = self._held.get(invitation.iid)
            self.forget((invitation.iid,))
            if done and (known is not None or not expected):  # else its mark is not known
                self._remember(Held(invitation, 0 if known is None else known.mark))

    def marked(self, marks: Sequence[Mark]) -> None:
        """Move marks, none of which is ahead."""
        for mark in marks:
            held = self._held.get(mark.iid)
            if held is not None:
                self._held[mark.iid] = held._replace(mark=max(held.mark, mark.to))

    def forget(self, iids: Collection[str]) -> None:
        """Forget these."""
        for iid in iids:
            held = self._held.pop(iid, None)
            if held is not None:
                self._bytes -= held.invitation.size

    def _remember(self, held: Held) -> None:
        self._held[held.invitation.iid] = held
        self._bytes += held.invitation.size
        while len(self._held) > _MAX_ENTRIES or self._bytes > _MAX_BYTES:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= oldest.invitation.size
