"""When each call timed out by the server's own time, and when devices heard of it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ringline.core.reading import read_events
from ringline.protocol.answers import decode_answer
from ringline.protocol.errors import ProtocolError
from ringline.protocol.events import Event, Invited, TimedOut, decode_events
from tests.faults.calls import Call
from tests.faults.fleet import WatchedClient


@dataclass(slots=True)
class Times:
    """Of one call, epoch milliseconds; 0 where it has not happened.

    Attributes:
        made: the server's time of the invitation.
        ended: the server's time of the timeout.
        heard: the newest time at which a device heard of the timeout for the first time.
    """

    made: int = 0
    ended: int = 0
    heard: int = 0


class TimedClient(WatchedClient):
    """A client that notes the times in what comes, live and by sync, before it reads it."""

    def __init__(self, *of: Any, **more: Any) -> None:
        super().__init__(*of, **more)
        self.times: dict[str, Times] = {}

    def on_message(self, topic: str, payload: bytes) -> None:
        now = time.time_ns() // 1_000_000
        with suppress(ProtocolError):
            is_live = topic == self.subscriptions[0]
            for event in read_events(decode_events(payload) if is_live else decode_answer(payload).events)[0]:
                self._note(event, now)
        super().on_message(topic, payload)

    def _note(self, event: Event, now: int) -> None:
        if isinstance(event, Invited):
            self.times.setdefault(event.iid, Times()).made = event.ts
        elif isinstance(event, TimedOut):
            times = self.times.setdefault(event.iid, Times())
            times.ended, times.heard = event.ts, times.heard or now


@dataclass(slots=True)
class Lateness:
    """How late timeouts were, milliseconds.

    Attributes:
        timeouts: how many there were.
        decided: the worst by the server's own time.
        heard: the worst until a device heard of it.
    """

    timeouts: int = 0
    decided: int = 0
    heard: int = 0


def judge_deadlines(calls: list[Call], clients: list[TimedClient], decided_ms: int, heard_ms: int) -> Lateness:
    """Check that no timeout came early, was decided later than so many milliseconds, or heard of later than so many."""
    worst = Lateness()
    wrong: list[str] = []
    for call in calls:
        seen = [client.times[call.iid] for client in clients if call.iid in client.times]
        ended = {times.ended for times in seen if times.ended}
        if not ended:
            continue
        made = max(times.made for times in seen)
        assert made, f"{call.iid} timed out, and nobody heard of it before"
        assert len(ended) == 1, f"{call.iid} timed out more than once: {ended}"
        deadline = made + 1_000 * call.timeout
        decided, heard = ended.pop() - deadline, max(times.heard for times in seen) - deadline
        assert decided >= 0, f"{call.iid} timed out {-decided} ms early"
        if decided > decided_ms or heard > heard_ms:
            wrong.append(f"{call.iid} decided {decided} ms late, heard of {heard} ms late")
        worst = Lateness(worst.timeouts + 1, max(worst.decided, decided), max(worst.heard, heard))
    assert not wrong, f"{len(wrong)} of {worst.timeouts} too late: {wrong[:10]}"
    return worst
