"""Many calls of every kind at once, on a group and by people who ring each other too, and the verdict on them."""

import random
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Final

from ringline.events import InvitationState
from tests.faults.calls import KINDS, LONG_S, Call, Stage, people
from tests.faults.fleet import Fleet, WatchedDevice
from tests.faults.verdict import judge, of_call
from tests.support.bound import BOUND_S

GROUP: Final = "crew"
CROSSING_S: Final = 10
"""Where one side does not notice that two calls cross, the one that gives way ends so long after."""
CROWD_KINDS: Final = (*KINDS, "group", "group_timeout", "crossing", "crossing")
"""Crossing calls come in pairs: it takes two."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many users there are, with two devices each: who invite, who are invited, who are in a group, who ring each
    other.
    """

    callers: int
    callees: int
    members: int
    pairs: int

    @property
    def devices(self) -> int:
        """How many devices that makes."""
        return 2 * (self.callers + self.callees + self.members + 2 * self.pairs)


class Crowd(Stage):
    """A stage with a group and with people who ring each other.

    Args:
        fleet: the devices, none yet.
        size: how many people.
        rng: for the choice of kinds and people.
    """

    def __init__(self, fleet: Fleet, size: Size, rng: random.Random) -> None:
        named = people(fleet, size.callers, size.callees)
        self._members = [f"member{i}" for i in range(size.members)]
        self._pairs = [(f"left{i}", f"right{i}") for i in range(size.pairs)]
        self._busy: dict[tuple[str, str], list[Call]] = {}
        for user in (*self._members, *(user for pair in self._pairs for user in pair)):
            for i in range(2):
                fleet.add(user, f"{user}-{i}")
        super().__init__(fleet, *named, rng)

    def connect(self) -> None:
        """Connect all, and make the group."""
        self.fleet.connect()
        owner, *others = self._members
        self.fleet.of(owner)[0].client.groups.create(GROUP, preset="meeting", members=others).result(BOUND_S)

    def begin_some(self, count: int) -> None:
        """Begin so many calls, or one more."""
        before = len(self.calls)
        while len(self.calls) < before + count:
            self.begin(self._rng.choice(CROWD_KINDS))

    def begin(self, kind: str | None = None) -> Call:
        if kind == "crossing":
            return self._begin_crossing() or super().begin()
        if kind not in ("group", "group_timeout"):
            return super().begin(kind)
        hosts, guests = self._members[:2], self._members[2:]  # nobody is both, so that these do not cross
        caller, invitees = self._rng.choice(self.fleet.of(*hosts)), self._rng.sample(guests, 2)
        timeout = LONG_S if kind == "group" else self._rng.randint(1, 2)
        return self._invite(kind, caller, tuple(invitees), timeout, group_id=GROUP)

    def is_told(self, call: Call, device: WatchedDevice) -> bool:
        """Who hears nothing of a call that gave way has heard all there is to hear."""
        spared = call.kind == "crossing" and device.user != call.caller.user and not device.heard.of(call.iid)
        return spared or super().is_told(call, device)

    def unanswered(self) -> int:
        """Requests that are under way."""
        return sum(device.client.unanswered for device in self.fleet.devices)

    def await_spectators(self) -> None:
        """Wait until those members who were told of a call among others have heard how it ended."""
        for call in self._group_calls():
            for device in self._spectators(call):
                is_told, what = partial(_is_told, device, call), f"told at {device.name} how {call.iid} ended"
                device.heard.wait_for(is_told, what, invite_id=call.iid)

    def judge(
        self, bound_s: float = BOUND_S, *, outage: bool = False
    ) -> tuple[Counter[str], dict[str, InvitationState | None]]:
        """Wait until all is over and check every call; how often each outcome came, and what the server says of each.

        Args:
            bound_s: how long to wait for each.
            outage: nobody could be served for a while, so that what stands where two calls cross may have timed out.
        """
        self.await_end(bound_s)
        self.await_spectators()
        states = self.states()
        outcomes = judge(self, states)
        for call in self._group_calls():
            for device in self._spectators(call):
                _check_spectator(call, device)
        for calls in self._busy.values():
            for call, other in zip(calls[::2], calls[1::2], strict=True):
                lower, higher = sorted((call.iid, other.iid), key=str.encode)
                _check_pair(states[lower], states[higher], outage=outage)
        return outcomes, states

    def _begin_crossing(self) -> Call | None:
        """Two users ring each other, where any two are free; who is called accepts."""
        free = [pair for pair in self._pairs if all(self._is_over(call) for call in self._busy.get(pair, [])[-2:])]
        if not free:
            return None
        pair = self._rng.choice(free)
        callers = [self._rng.choice(self.fleet.of(user)) for user in pair]
        calls = [
            self._invite("crossing", caller, (other,), CROSSING_S)
            for caller, other in zip(callers, reversed(pair), strict=True)
        ]
        self._busy.setdefault(pair, []).extend(calls)
        return calls[1]

    def _is_over(self, call: Call) -> bool:
        return all(self.is_told(call, device) for device in self.devices_of(call))

    def _group_calls(self) -> list[Call]:
        return [call for call in self.calls.values() if call.kind.startswith("group")]

    def _spectators(self, call: Call) -> list[WatchedDevice]:
        return self.fleet.of(*(user for user in self._members if user not in (call.caller.user, *call.invitees)))

    def _rings(self, call: Call, device: WatchedDevice) -> None:
        is_first_device = device.name.endswith("-0")
        if call.kind == "crossing" and is_first_device:
            call.do("accept", device, call.iid)
        elif call.kind == "group" and device.user in call.invitees:
            if device.user == call.invitees[0] and is_first_device:
                call.do("accept", device, call.iid)
            elif device.user == call.invitees[1] and not is_first_device:
                call.do("reject", device, call.iid, reason="busy")
        elif call.kind in KINDS:
            super()._rings(call, device)


def _check_pair(lower: InvitationState | None, higher: InvitationState | None, *, outage: bool) -> None:
    """The lower id stands; the other gave way, unless one was over before the other began. An invite that was not
    answered within its time may have come to nothing.
    """
    stands, gives_way = (None if state is None else state.outcome for state in (lower, higher))
    assert stands in ("accepted", None) or (outage and stands == "timed_out"), (lower, higher)
    assert gives_way in ("accepted", "cancelled", None) or (outage and gives_way == "timed_out"), (lower, higher)


def _is_told(spectator: WatchedDevice, call: Call) -> bool:
    return not spectator.heard.of(call.iid) or spectator.heard.is_over(call.iid)


def _check_spectator(call: Call, device: WatchedDevice) -> None:
    """A member who is not concerned hears of it from beginning to end, once, or not at all where it was over."""
    names = [name for name, _ in of_call(device, call)]
    if names:
        where = f"{device.name} of {call.iid}: {of_call(device, call)}"
        assert (names[0], names[-1]) == ("receive_new_invitation", "invitation_ended"), where
        assert names.count("receive_new_invitation") == names.count("invitation_ended") == 1, where
