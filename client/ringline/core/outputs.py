"""What the shell has to do, and what is counted."""

from dataclasses import dataclass, field

from ringline.core.callbacks import Callback
from ringline.errors import SignalingError


@dataclass(frozen=True, slots=True)
class Settled:
    """A request has its answer: what was asked for, or why it was refused; neither where it was simply done."""

    request_id: bytes
    result: object = None
    error: SignalingError | None = None


@dataclass(slots=True)
class Outputs:
    """What the shell has to do, in this order: unsubscribe, subscribe, publish, settle handles, call back."""

    unsubscribe: list[str] = field(default_factory=list[str])
    subscribe: list[str] = field(default_factory=list[str])
    messages: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    settled: list[Settled] = field(default_factory=list[Settled])
    callbacks: list[Callback] = field(default_factory=list[Callback])

    def take(self) -> "Outputs":
        """All of it, leaving none."""
        taken = Outputs(self.unsubscribe, self.subscribe, self.messages, self.settled, self.callbacks)
        self.unsubscribe, self.subscribe, self.messages, self.settled, self.callbacks = [], [], [], [], []
        return taken


@dataclass(slots=True)
class Counts:
    """What happened in this run.

    Attributes:
        retries: requests sent again.
        repeats_dropped: events that had been heard before.
        syncs: sync requests answered.
        gaps: times an event had to wait for one before it.
    """

    retries: int = 0
    repeats_dropped: int = 0
    syncs: int = 0
    gaps: int = 0
