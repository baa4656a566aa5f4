"""A broker, a store and three workers between them under load, for tests that break one of the ways."""

import random
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from ringline.protocol.errors import Fault
from tests.faults.calls import Call
from tests.faults.crowd import Crowd, Size
from tests.faults.deadlines import Lateness, TimedClient, judge_deadlines
from tests.faults.fleet import Fleet
from tests.faults.telling import Tell
from tests.faults.workers import LEASE_S, Workers

MOSQUITTO: Final = "max_inflight_messages 1000\nmax_queued_messages 100000\nset_tcp_nodelay true"
PEOPLE: Final = Size(callers=6, callees=9, members=5, pairs=2)
BEGIN_EVERY_S: Final = 0.05
BUSY_MS: Final = 2_000
"""How long a process may have to wait for its turn where two cores run all of this, and workers that start: no design
makes that shorter. It is also time for the second worker that took over a deadline to be killed in its turn.
"""
ASKED_MS: Final = 8_000
"""A device that hears nothing asks 2 to 5 s past the time left, and repeats that a second and two later."""
SETTLED_S: Final = 30.0


@dataclass(slots=True)
class Load:
    """A crowd that goes on calling, until it is judged."""

    crowd: Crowd
    rng: random.Random
    every_s: float = BEGIN_EVERY_S
    _over: threading.Event = field(default_factory=threading.Event)
    _calling: threading.Thread | None = None

    def start(self) -> None:
        """Begin a call every so many seconds."""
        self._calling = threading.Thread(target=self._call, daemon=True)
        self._calling.start()

    def stop(self) -> None:
        """Begin no more; a second call does nothing."""
        self._over.set()
        if self._calling is not None:
            self._calling.join()

    @property
    def fleet(self) -> Fleet:
        return self.crowd.fleet

    def await_calls(self, count: int) -> None:
        """Wait until so many more calls were begun, whatever becomes of them."""
        until = len(self.crowd.calls) + count
        with self.fleet.watch.changed:
            enough = self.fleet.watch.changed.wait_for(lambda: len(self.crowd.calls) >= until, 60)
        assert enough, "no calls are begun"

    def await_seconds(self, seconds: float) -> None:
        """Wait until calls were begun for so long."""
        self.fleet.watch.await_moment(time.monotonic() + seconds)

    def judge(self, outage_s: float = 0.0, unheard_s: float = 0.0) -> tuple[Counter[str], Lateness]:
        """Check every call and every timeout.

        Args:
            outage_s: for how long no worker could decide.
            unheard_s: for how long devices could not hear what was decided.
        """
        self.stop()
        outcomes = self.crowd.judge(SETTLED_S, outage=outage_s + unheard_s > 0)
        clients = [device.client for device in self.fleet.devices if isinstance(device.client, TimedClient)]
        decided_ms = int(1_000 * (LEASE_S + outage_s)) + BUSY_MS
        heard_ms = decided_ms + ASKED_MS + int(1_000 * unheard_s)
        return outcomes, judge_deadlines([*self.crowd.calls.values()], clients, decided_ms, heard_ms)

    def report(self, tell: Tell, workers: Workers, done: tuple[Counter[str], Lateness], **more: object) -> None:
        """Say what was done, and what came of it."""
        outcomes, late = done
        counts, watch = self.fleet.counts(), self.fleet.watch
        tell(
            **more, devices=len(self.fleet.devices), calls=len(self.crowd.calls), calls_that_stood=outcomes.total(),
            **outcomes, invites_refused=self.refused(), retries=counts.retries,
            repeats_dropped_by_devices=counts.repeats_dropped, repeats_recognised_by_workers=watch.repeats_answered,
            recovered=workers.count("recovered"), syncs=counts.syncs, gaps=counts.gaps, timeouts=late.timeouts,
            latest_ms=late.decided, latest_heard_ms=late.heard,
        )  # fmt: skip

    def refused(self) -> int:
        """Invites that were given up within their own time, and said so."""
        refusals = [call.acts[0].refusal() for call in self.crowd.calls.values()]
        return sum(refused is not None and refused.fault is Fault.SERVER for refused in refusals)

    def answered(self, calls: Sequence[Call]) -> float:
        """Which share of these was answered by now."""
        return sum(bool(call.acts) and call.acts[0].handle.done for call in calls) / len(calls)

    def _call(self) -> None:
        next_at, changed = time.monotonic(), self.fleet.watch.changed
        while not self._over.wait(max(0.0, next_at - time.monotonic())):
            next_at += self.every_s
            self.crowd.begin_some(1)
            with changed:
                changed.notify_all()


@contextmanager
def load(port: int, tell: Tell, every_s: float = BEGIN_EVERY_S) -> Generator[Load]:
    """Devices that begin a call every so many seconds while inside."""
    seed = random.getrandbits(32)
    tell(seed=seed)
    rng = random.Random(seed)
    with Fleet(f"mqtt://127.0.0.1:{port}", TimedClient) as fleet:
        crowd = Crowd(fleet, PEOPLE, rng)
        crowd.connect()
        made = Load(crowd, rng, every_s)
        made.start()
        try:
            yield made
        finally:
            made.stop()
