"""Counters of what the extension did, and how long it took. A leaf: it imports nothing of ours.

Plain numbers, since they change with every request; who shows them reads them when asked.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds that suit everything timed here: a commit in memory, and a deadline that waited for a dead worker."""
UNKNOWN: Final = "unknown"
"""The operation of a request that was not read; so no stranger makes up one more."""


@dataclass(slots=True)
class Counters:
    """Whole numbers since the start.

    Attributes:
        requests: requests read.
        unreadable: requests with no id and device to answer to.
        refused: refusals answered.
        too_fast: requests beyond what their user may make a second.
        repeats: requests that an earlier copy of themselves had already brought about.
        turns: batches of requests worked through.
        failed_turns: batches that a fault of the extension ended; their clients repeat.
        commits: versions written.
        conflicts: versions not written because another process was first.
        messages: messages handed to the broker.
        syncs: sync requests answered.
        deadlines: deadlines that came.
        recovered: invitations and groups whose events were published again, after a crash or a broker out of reach.
        unavailable: requests that met a store out of reach.
    """

    requests: int = 0
    unreadable: int = 0
    refused: int = 0
    too_fast: int = 0
    repeats: int = 0
    turns: int = 0
    failed_turns: int = 0
    commits: int = 0
    conflicts: int = 0
    messages: int = 0
    syncs: int = 0
    deadlines: int = 0
    recovered: int = 0
    unavailable: int = 0

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


class Histogram:
    """Durations, counted by how long they were.

    Attributes:
        counts: how many were at most as long as each of SECONDS, and longer than the one before; then the longer ones.
        total: the sum of all, seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one; what is less than nothing, since clocks of several machines differ, is nothing."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        if seconds > 0:
            self.total += seconds


@dataclass(slots=True)
class Metrics:
    """All that the extension counts.

    Attributes:
        counters: whole numbers.
        requests: requests dealt with, by operation, result (ok, repeated, refused, unavailable, unreadable) and the
            error's name, which is empty but for refusals.
        request_seconds: from when a request was read to the end of its turn, when it is answered and published.
        timer_lag_seconds: from a deadline to the turn that decided it.
        store_seconds: how long the store took, by operation; only where the store is timed.
        store_failures: how often it could not, by operation; likewise.
    """

    counters: Counters = field(default_factory=Counters)
    requests: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    request_seconds: Histogram = field(default_factory=Histogram)
    timer_lag_seconds: Histogram = field(default_factory=Histogram)
    store_seconds: dict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    store_failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def deadline_came(self, due_ms: int | None, now_ms: int) -> None:
        """Count a deadline that was decided now, store time both."""
        self.counters.deadlines += 1
        if due_ms is not None:
            self.timer_lag_seconds.observe((now_ms - due_ms) / 1000)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process counted since it began, and how things stand in it.

    Attributes:
        metrics: what the extension counted.
        counters: more counters, dataclasses of whole numbers, by the word that begins their names.
        gauges: how things stand, by name.
        histograms: more durations, by name.
    """

    metrics: Metrics
    counters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gauges: Mapping[str, int] = field(default_factory=dict[str, int])
    histograms: Mapping[str, Histogram] = field(default_factory=dict[str, Histogram])
