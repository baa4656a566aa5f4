"""When calls timed out by the server's own time, and when devices heard of it, against what went wrong meanwhile."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ringline.core.reading import read_events
from ringline.events import InvitationState
from ringline.protocol.answers import decode_answer
from ringline.protocol.errors import ProtocolError
from ringline.protocol.events import Event, Invited, TimedOut, decode_events
from ringline_broker.service.recovery import EVERY_MS
from tests.faults.calls import Call
from tests.faults.fleet import WatchedClient
from tests.faults.workers import LEASE_S, now_ms

LEASE_MS: Final = 1_000 * LEASE_S
SCHEDULING_MS: Final = 1_500
"""How long a deadline may have to wait for the turn that decides it though nothing goes wrong, where two cores run all
of this, workers that start, and whatever else the machine has to do. What was seen is printed.
"""
HEARING_MS: Final = 10_000
"""How long it may take likewise until the last device hears of it, all of which are one process: after 2 to 5 s a
device asks by itself.
"""
LATE_MS: Final = LEASE_MS // 2
"""What is decided later than this was not decided by whoever took it first."""


class Trouble(NamedTuple):
    """When workers could not do what they had begun, epoch milliseconds: a moment where one was killed, or a while in
    which none could do anything, or in which all that they do took so much longer.
    """

    since: int
    until: int
    slow_ms: int = 0

    def again(self, first: int, last: int, after_ms: int) -> tuple[int, int]:
        """Between which moments somebody does what should have been done between these."""
        if self.slow_ms:
            return first, last + self.slow_ms
        if self.since == self.until:
            return first + after_ms, last + after_ms
        return max(first, self.until), max(last, self.until) + after_ms


def latest(at: int, troubles: Iterable[Trouble], after_ms: int) -> int:
    """When something that is to be done at this moment is done at the latest, but for the wait for a turn.

    Args:
        at: the moment.
        troubles: what went wrong.
        after_ms: how long after somebody failed at it, or after nobody could, another does it.
    """
    first = last = at
    for trouble in sorted(troubles):
        if trouble.since <= last + SCHEDULING_MS and trouble.until >= first - SCHEDULING_MS:
            first, last = trouble.again(first, last, after_ms)
    return last


@dataclass(slots=True)
class Noted:
    """What came to a device of one call.

    Attributes:
        log: its events by their versions.
        heard: when the timeout came for the first time, epoch milliseconds; 0 where it did not.
    """

    log: dict[int, Event] = field(default_factory=dict[int, Event])
    heard: int = 0


class TimedClient(WatchedClient):
    """A client that notes what comes and when, live and by sync, before it reads it."""

    def __init__(self, *of: Any, **more: Any) -> None:
        super().__init__(*of, **more)
        self.noted: dict[str, Noted] = {}

    def on_message(self, topic: str, payload: bytes) -> None:
        now = now_ms()
        with suppress(ProtocolError):
            is_live = topic == self.subscriptions[0]
            for event in read_events(decode_events(payload) if is_live else decode_answer(payload).events)[0]:
                self._note(event, now)
        super().on_message(topic, payload)

    def _note(self, event: Event, now: int) -> None:
        noted = self.noted.setdefault(event.iid, Noted())
        if event.n:
            noted.log.setdefault(event.n, event)
        if isinstance(event, TimedOut):
            noted.heard = noted.heard or now


class Timeout(NamedTuple):
    """One timeout, epoch milliseconds.

    Attributes:
        due: the deadline.
        decided: the server's time of the timeout.
        heard: the newest time at which a device heard of it for the first time.
    """

    due: int
    decided: int
    heard: int


@dataclass(slots=True)
class Lateness:
    """How late timeouts were, milliseconds.

    Attributes:
        timeouts: how many there were.
        decided: the worst by the server's own time.
        heard: the worst from then until a device heard of it.
        taken_over: how many were decided by another worker than the one that took them first.
    """

    timeouts: int = 0
    decided: int = 0
    heard: int = 0
    taken_over: int = 0

    def add(self, one: Timeout) -> None:
        """Count one."""
        late = one.decided - one.due
        self.timeouts += 1
        self.decided = max(self.decided, late)
        self.heard = max(self.heard, one.heard - one.decided)
        self.taken_over += late > LATE_MS


def due_of(call: Call, clients: Iterable[TimedClient]) -> int | None:
    """A call's deadline by the server's own time, epoch milliseconds; None where nobody heard of the call yet."""
    noted = _noted(call, clients)
    made = [event.ts for one in noted for event in [*one.log.values()] if isinstance(event, Invited)]
    return max(made) + 1_000 * call.timeout if made else None


def timeout_of(call: Call, clients: Iterable[TimedClient]) -> Timeout | None:
    """A call's timeout, as far as devices heard of it; None where none did."""
    clients = [client for client in clients if call.iid in client.noted]
    noted = _noted(call, clients)
    ended = {event.ts for one in noted for event in [*one.log.values()] if isinstance(event, TimedOut)}
    if not ended:
        return None
    due = due_of(call, clients)
    assert due is not None, f"{call.iid} timed out, and nobody heard of it before"
    assert len(ended) == 1, f"{call.iid} timed out more than once: {ended}"
    return Timeout(due, ended.pop(), max(one.heard for one in noted))


def judge_deadlines(
    calls: Iterable[Call],
    states: Mapping[str, InvitationState | None],
    clients: Iterable[TimedClient],
    troubles: Iterable[Trouble],
) -> Lateness:
    """Check that every timeout the server knows was heard of, and no other; that none came early; and that each was
    decided, and then heard of, at once, or where a trouble came between, when somebody else had to take it over.
    """
    clients, troubles = list(clients), list(troubles)
    worst = Lateness()
    wrong: list[str] = []
    for call in calls:
        state, timeout = states[call.iid], timeout_of(call, clients)
        has_timed_out = state is not None and "timed_out" in state.invitees.values()
        assert (timeout is not None) == has_timed_out, f"{call.iid}: {state}, and {timeout} was heard"
        if timeout is not None:
            worst.add(timeout)
            wrong += _faults(call, timeout, troubles)
    assert not wrong, f"of {worst.timeouts} timeouts {wrong[:10]}"
    return worst


def _faults(call: Call, timeout: Timeout, troubles: Iterable[Trouble]) -> Iterable[str]:
    due, decided, heard = timeout
    if decided < due:
        yield f"{call.iid} timed out {due - decided} ms early"
    if decided > (most := latest(due, troubles, LEASE_MS) + SCHEDULING_MS):
        yield f"{call.iid} was decided {decided - due} ms late, {most - due} ms are allowed"
    # what was decided and not published is looked for every second, once it is older than a lease
    if heard > (most := latest(decided, troubles, LEASE_MS + EVERY_MS) + HEARING_MS):
        yield f"{call.iid} was heard of {heard - decided} ms after it was decided, {most - decided} ms are allowed"


def _noted(call: Call, clients: Iterable[TimedClient]) -> list[Noted]:
    return [client.noted[call.iid] for client in clients if call.iid in client.noted]
