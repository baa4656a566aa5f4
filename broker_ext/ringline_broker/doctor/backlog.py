"""How far behind the workers are, from what a store says."""

from typing import Final, NamedTuple

from ringline_broker.doctor.report import Found, ok, warn

_LATE_MS: Final = 15_000
"""Three leases as they are by default: after that, somebody should have taken over."""


class Backlog(NamedTuple):
    """What waits for a worker.

    Attributes:
        unmarked: invitations and groups whose last events are not known to be handed over.
        overdue: invitations whose deadline is over, and nobody has claimed it.
        oldest_ms: for how long the first of those has been.
    """

    unmarked: int
    overdue: int
    oldest_ms: int


def judge(backlog: Backlog) -> Found:
    """How it stands."""
    text = f"{backlog.unmarked} unmarked, {backlog.overdue} overdue"
    if backlog.oldest_ms < _LATE_MS:
        return ok(text)
    remedy = "start workers, or more of them; each takes over what others left, after a lease (5 s by default)"
    return warn(f"{text}, the oldest for {backlog.oldest_ms / 1_000:.0f} s: no worker keeps up", remedy)
