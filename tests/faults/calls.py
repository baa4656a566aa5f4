"""Calls of every kind that play themselves: what each device does follows from the callbacks it gets."""

import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ringline.errors import SignalingError
from ringline.events import InvitationState
from ringline.handles import RequestHandle
from ringline.invitations import FIRST, NONE
from tests.faults.fleet import Fleet, WatchedDevice
from tests.support.bound import BOUND_S

LONG_S: Final = 120
"""A timeout no call of a test reaches: whatever is lost then leaves it open, and the test red."""
KINDS: Final = (
    "accept", "reject", "both", "first", "cancel", "race", "timeout", "late", "modify", "mixed", "ringing", "part",
    "withdraw", "notice", "parties",
)  # fmt: skip
INVITEES: Final = {"first": 3, "mixed": 3, "part": 2, "parties": 2}
OUTCOMES: Final[dict[str, tuple[str, ...]]] = {
    "accept": ("accepted",),
    "reject": ("rejected",),
    "both": ("accepted", "rejected"),
    "first": ("accepted",),
    "cancel": ("cancelled",),
    "race": ("accepted", "cancelled"),
    "timeout": ("timed_out",),
    "late": ("accepted", "timed_out"),
    "modify": ("accepted",),
    "mixed": ("accepted", "timed_out", "rejected"),
    "ringing": ("accepted",),
    "part": ("accepted",),
    "withdraw": ("cancelled",),
    "notice": ("notice",),
    "parties": ("accepted", "rejected"),
    "group": ("accepted", "rejected"),
    "group_timeout": ("timed_out",),
    "crossing": ("accepted", "cancelled", "timed_out"),
}
"""What may come of each kind; the last three are a crowd's."""


@dataclass(slots=True)
class Act:
    """A request that a device made, and its handle."""

    op: str
    device: WatchedDevice
    handle: RequestHandle

    def refusal(self) -> SignalingError | None:
        """None where it was done; fails where it has no answer."""
        try:
            self.handle.result(BOUND_S)
        except SignalingError as refused:
            return refused
        return None


@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        kind: how it goes, one of KINDS.
        caller: the device that invites.
        invitees: whom.
        timeout: seconds.
        acts: the requests made for it, the invite first.
    """

    number: int
    kind: str
    caller: WatchedDevice
    invitees: tuple[str, ...]
    timeout: int
    iid: str
    acts: list[Act] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, op: str, device: WatchedDevice, *args: Any, **more: Any) -> None:
        """Make a request."""
        handle: RequestHandle = getattr(device.client, op)(*args, **more)
        with self.lock:
            self.acts.append(Act(op, device, handle))


class Stage:
    """Has calls play themselves on a fleet in which every user has two devices, called USER-0 and USER-1.

    Args:
        fleet: the devices.
        callers, callees: who invites, and who is invited; nobody is both, so that no calls cross.
        rng: for the choice of kinds and people.
    """

    def __init__(self, fleet: Fleet, callers: list[str], callees: list[str], rng: random.Random) -> None:
        self.fleet = fleet
        self.calls: dict[str, Call] = {}
        self._callers = callers
        self._callees = callees
        self._rng = rng
        for device in fleet.devices:
            for name, react in (
                ("receive_new_invitation", self._rings),
                ("invitation_created", self._stands),
                ("invitation_modified", self._is_modified),
            ):
                device.heard.react(name, partial(self._react, react, device))

    def begin(self, kind: str | None = None) -> Call:
        """Begin a call, of any kind where none is said."""
        kind = kind or self._rng.choice(KINDS)
        caller = self._rng.choice(self.fleet.of(self._rng.choice(self._callers)))
        invitees = tuple(self._rng.sample(self._callees, INVITEES.get(kind, 1)))
        timeout = {"timeout": self._rng.randint(1, 2), "late": 1, "mixed": 2}.get(kind, LONG_S)
        return self._invite(
            kind, caller, invitees, timeout, answers={"first": FIRST, "notice": NONE}.get(kind),
            audience="parties" if kind == "parties" else "",
        )  # fmt: skip

    def _invite(
        self, kind: str, caller: WatchedDevice, invitees: tuple[str, ...], timeout: int = LONG_S, **more: Any
    ) -> Call:
        number = len(self.calls)
        call = Call(number, kind, caller, invitees, timeout, f"{kind}-{number}-{secrets.token_hex(6)}")
        self.calls[call.iid] = call
        call.do("invite", caller, invitees, {"call": number}, timeout=timeout, invite_id=call.iid, **more)
        if kind == "withdraw":
            call.do("cancel", caller, call.iid)
        return call

    def devices_of(self, call: Call) -> list[WatchedDevice]:
        """All devices of all parties."""
        return self.fleet.of(call.caller.user, *call.invitees)

    def was_made(self, call: Call) -> bool:
        """Whether anybody heard of it, or its invite was done; an invite that lasts a second may come to nothing."""
        return call.acts[0].refusal() is None or any(d.heard.of(call.iid) for d in self.devices_of(call))

    def await_end(self, bound_s: float = BOUND_S) -> None:
        """Wait until every device of every party has heard how each call ended."""
        for call in self.calls.values():
            if self.was_made(call):
                for device in self.devices_of(call):
                    is_told, what = partial(self.is_told, call, device), f"told at {device.name} how {call.iid} ended"
                    device.heard.wait_for(is_told, what, bound_s, call.iid)

    def is_told(self, call: Call, device: WatchedDevice) -> bool:
        """Whether a device has heard how a call ended."""
        return device.heard.is_over(call.iid)

    def states(self) -> dict[str, InvitationState | None]:
        """What the server says of each; None where it has never heard of it."""
        asked = {iid: call.caller.client.get(iid) for iid, call in self.calls.items()}
        return {iid: _state(handle) for iid, handle in asked.items()}

    def _react(self, how: Callable[[Call, WatchedDevice], None], device: WatchedDevice, event: Any) -> None:
        call = self.calls.get(event.invite_id)
        if call is not None:
            how(call, device)

    def _rings(self, call: Call, device: WatchedDevice) -> None:
        place = call.invitees.index(device.user)
        is_first_device = device.name.endswith("-0")
        match call.kind, place:
            case (("accept" | "race" | "late"), _) if is_first_device:
                call.do("accept", device, call.iid, {"by": device.name})
            case "reject", _ if not is_first_device:
                call.do("reject", device, call.iid, reason="busy")
            case "both" | "parties", _:
                call.do("accept" if is_first_device else "reject", device, call.iid)
            case "first", (0 | 1) if is_first_device:
                call.do("accept", device, call.iid)
            case "mixed", 0 if is_first_device:
                call.do("accept", device, call.iid)
            case "mixed", 1 if not is_first_device:
                call.do("reject", device, call.iid, text="not now")
            case "part", 0 if is_first_device:
                call.do("accept", device, call.iid)
            case "ringing", _ if is_first_device:
                device.client.ringing(call.iid)
                call.do("accept", device, call.iid)
            case _:
                pass

    def _stands(self, call: Call, device: WatchedDevice) -> None:
        if device is not call.caller:
            return
        match call.kind:
            case "cancel" | "race":
                call.do("cancel", device, call.iid, reason="changed_mind")
            case "part":
                call.do("cancel", device, call.iid, invitees=[call.invitees[1]])
            case "modify":
                call.do("modify", device, call.iid, {"call": call.number, "video": True})
            case _:
                pass

    def _is_modified(self, call: Call, device: WatchedDevice) -> None:
        if call.kind == "modify" and device.user in call.invitees and device.name.endswith("-0"):
            call.do("accept", device, call.iid)


def _state(asked: RequestHandle[InvitationState]) -> InvitationState | None:
    try:
        return asked.result(2 * BOUND_S)
    except SignalingError as refused:
        if refused.name != "unknown_invitation":
            raise
        return None


def people(fleet: Fleet, callers: int, callees: int, **more: Any) -> tuple[list[str], list[str]]:
    """Users with two devices each."""
    names = [f"caller{i}" for i in range(callers)], [f"callee{i}" for i in range(callees)]
    for user in (*names[0], *names[1]):
        for i in range(2):
            fleet.add(user, f"{user}-{i}", **more)
    return names
