"""Counters of what the extension did. A leaf: it imports nothing of ours."""

from dataclasses import asdict, dataclass


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
        commits: versions written.
        conflicts: versions not written because another process was first.
        messages: messages handed to the broker.
        syncs: sync requests answered.
        deadlines: deadlines that came.
        recovered: invitations whose events were published again after a restart.
        unavailable: requests that met a store out of reach.
    """

    requests: int = 0
    unreadable: int = 0
    refused: int = 0
    too_fast: int = 0
    repeats: int = 0
    turns: int = 0
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
