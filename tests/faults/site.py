"""A broker, a store and three workers between them under load, for tests that break one of the ways."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringline.protocol.errors import Fault
from tests.faults.calls import LONG_S, Act, Call
from tests.faults.crowd import Crowd, Size
from tests.faults.deadlines import Lateness, TimedClient, Trouble, due_of, judge_deadlines, timeout_of
from tests.faults.fleet import Fleet
from tests.faults.order import check_order
from tests.faults.telling import Tell
from tests.faults.workers import Workers, now_ms
from tests.support.bound import BOUND_S

MOSQUITTO: Final = "max_inflight_messages 1000\nmax_queued_messages 100000\nset_tcp_nodelay true"
PEOPLE: Final = Size(callers=6, callees=9, members=5, pairs=2)
BEGIN_EVERY_S: Final = 0.05
AT_ONCE: Final = 30
"""So many calls are begun where something is to break in the middle of them."""
SETTLED_S: Final = 30.0
STOOD: Final = 0.8
"""Calls that last a second or two come to nothing where nobody can be served for that long: one of six."""


class Verdict(NamedTuple):
    """What came of all calls.

    Attributes:
        outcomes: how often each came.
        late: how late timeouts were.
        in_order: callbacks that came in their order.
    """

    outcomes: Counter[str]
    late: Lateness
    in_order: int


@dataclass(slots=True)
class Load:
    """A crowd that goes on calling, until it is judged."""

    crowd: Crowd
    rng: random.Random
    every_s: float = BEGIN_EVERY_S
    _troubles: list[Trouble] = field(default_factory=list[Trouble])
    _beginning: threading.Lock = field(default_factory=threading.Lock)
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

    def break_in_the_middle(self, spring: Callable[[], object]) -> int:
        """Begin some calls at once, and do something at a message in the middle of them; how many requests are under
        way then.
        """
        watch = self.fleet.watch
        watch.set_trap("heard", self.rng.randint(0, AT_ONCE), spring)
        self._begin(AT_ONCE)
        assert watch.await_trap(BOUND_S), "nothing is heard of calls"
        return self.crowd.unanswered()

    def await_calls(self, count: int) -> None:
        """Wait until so many more calls were begun, whatever becomes of them."""
        until = len(self.crowd.calls) + count
        with self.fleet.watch.changed:
            enough = self.fleet.watch.changed.wait_for(lambda: len(self.crowd.calls) >= until, 60)
        assert enough, "no calls are begun"

    def await_seconds(self, seconds: float) -> None:
        """Wait until calls were begun for so long."""
        self.fleet.watch.await_moment(time.monotonic() + seconds)

    def trouble(self, unnoticed_ms: int = 0) -> None:
        """A worker is cut off from others at this moment, and goes on as if it were not for so long."""
        now = now_ms()
        self._troubles.append(Trouble(now, now + unnoticed_ms))

    @contextmanager
    def outage(self, slow_ms: int = 0) -> Generator[None]:
        """Inside, no worker can decide anything, or nobody can hear of it; or it takes at most so much longer."""
        since = now_ms()
        yield
        self._troubles.append(Trouble(since, now_ms(), slow_ms))

    def taken_over(self) -> int:
        """How many timeouts up to now were decided by another worker than the one that took them first."""
        late = Lateness()
        for call in self.crowd.calls.values():
            if (timeout := timeout_of(call, self._clients)) is not None:
                late.add(timeout)
        return late.taken_over

    def due(self, call: Call) -> int | None:
        """A call's deadline by the server's own time, epoch milliseconds; None where nobody heard of the call yet."""
        return due_of(call, self._clients)

    def judge(self, workers: Workers, *, stood: float = STOOD) -> Verdict:
        """Check every call, every timeout and the order of all that was heard.

        Args:
            workers: whose kills were troubles.
            stood: which share of the calls must have come about at least. The others were given up within the second
                or the ten that they had; who has two minutes is always served.
        """
        self.stop()
        outcomes, states = self.crowd.judge(SETTLED_S, outage=bool(self._troubles))
        calls = self.crowd.calls.values()
        troubles = [*self._troubles, *(Trouble(at, at) for at in workers.killed_at)]
        late = judge_deadlines(calls, states, self._clients, troubles)
        assert late.timeouts >= outcomes["timed_out"] > 0
        assert outcomes.total() >= stood * len(calls), f"{outcomes.total()} of {len(calls)} calls stood"
        return Verdict(outcomes, late, self._check_order())

    @property
    def _clients(self) -> list[TimedClient]:
        return [device.client for device in self.fleet.devices if isinstance(device.client, TimedClient)]

    def _check_order(self) -> int:
        """Check every call at every device that heard of it; how many callbacks there were."""
        return sum(
            check_order(call, device, device.client.noted[call.iid])
            for call in self.crowd.calls.values()
            for device in self.fleet.devices
            if isinstance(device.client, TimedClient) and call.iid in device.client.noted
        )

    def report(self, tell: Tell, workers: Workers, done: Verdict, **more: object) -> None:
        """Say what was done, and what came of it."""
        outcomes, late, in_order = done
        counts = self.fleet.counts()
        tell(
            **more, devices=len(self.fleet.devices), calls=len(self.crowd.calls), calls_that_stood=outcomes.total(),
            **outcomes, invites_refused=self.refused(), retries=counts.retries,
            repeats_dropped_by_devices=counts.repeats_dropped, repeats_recognised_by_workers=workers.count("repeats"),
            recovered=workers.count("recovered"), syncs=counts.syncs, connects=self.fleet.connects(), gaps=counts.gaps,
            callbacks_in_order=in_order, timeouts=late.timeouts, taken_over=late.taken_over,
            decided_late_ms=late.decided, heard_late_ms=late.heard,
            outages_ms=[until - since for since, until, _ in self._troubles if until > since],
        )  # fmt: skip

    def refused(self) -> int:
        """Invites that were given up within their own time, and said so."""
        refusals = [call.acts[0].refusal() for call in self.crowd.calls.values()]
        return sum(refused is not None and refused.fault is Fault.SERVER for refused in refusals)

    def made(self, calls: Sequence[Call]) -> float:
        """Which share of these the server has made by now, of those that no deadline ends."""
        lasting = [call for call in calls if call.timeout == LONG_S]
        return sum(_has_come_about(call.acts[0]) for call in lasting if call.acts) / len(lasting)

    def completed(self, calls: Sequence[Call]) -> float:
        """Which share of these was over by now for whoever made it, of those that no deadline ends."""
        lasting = [call for call in calls if call.timeout == LONG_S]
        return sum(call.caller.heard.is_over(call.iid) for call in lasting) / len(lasting)

    def _begin(self, count: int) -> None:
        with self._beginning:
            self.crowd.begin_some(count)

    def _call(self) -> None:
        next_at, changed = time.monotonic(), self.fleet.watch.changed
        while not self._over.wait(max(0.0, next_at - time.monotonic())):
            next_at += self.every_s
            self._begin(1)
            with changed:
                changed.notify_all()


def _has_come_about(act: Act) -> bool:
    return act.handle.done and act.refusal() is None


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
