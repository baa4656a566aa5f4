"""In which order a device heard of a call, against the versions of the events that each callback tells of."""

from itertools import pairwise
from typing import Any, Final

from ringline.protocol.events import Accepted, Cancelled, Event, Invited, Modified, Rejected, Settling, Taken, TimedOut
from tests.faults.calls import Call
from tests.faults.deadlines import Noted
from tests.faults.fleet import WatchedDevice
from tests.faults.verdict import of_call

_TOLD_BY: Final[dict[str, type[Event]]] = {
    "invitation_created": Invited,
    "receive_new_invitation": Invited,
    "invitation_modified": Modified,
    "invitee_accepted": Accepted,
    "invitee_rejected": Rejected,
    "invitation_taken": Taken,
    "invitation_cancelled": Cancelled,
    "invitation_timeout": TimedOut,
}


def check_order(call: Call, device: WatchedDevice, noted: Noted) -> int:
    """Check that every callback of a call tells of a later event than the one before it; how many there were. That it
    was missed is told in place of all there was before, and `verdict.py` sees that it comes first.
    """
    heard = [(name, event) for name, event in of_call(device, call) if name != "invitation_missed"]
    places = [_place(name, event, noted.log) for name, event in heard]
    assert all(a < b for a, b in pairwise(places)), f"{device.name} of {call.iid}: {[*zip(places, heard, strict=True)]}"
    return len(places)


def _place(name: str, told: Any, log: dict[int, Event]) -> tuple[int, bool]:
    """The version of the event that a callback tells of; the end is told after what brought it about."""
    is_end = name == "invitation_ended"
    found = [n for n, event in log.items() if (event.end is not None if is_end else _tells_of(name, told, event))]
    assert len(found) == 1, f"{name} {told} tells of one event among {log}"
    return found[0], is_end


def _tells_of(name: str, told: Any, event: Event) -> bool:
    if not isinstance(event, _TOLD_BY[name]):
        return False
    match event:
        case Accepted() | Rejected():
            return (told.invitee, told.device) == (event.by, event.dev)
        case Settling():
            return bool(told.invitees == event.out)
        case _:
            return True
