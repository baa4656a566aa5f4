"""Counters of one worker's connection to its broker."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class LinkCounters:
    """Whole numbers since the start.

    Attributes:
        connects: connections that came up; all but the first are reconnects.
        published: messages the broker acknowledged with success, somebody there or not.
        refused: messages the broker, or its maximum packet size, refused.
        overflowed: messages given up because too many were waiting already.
        expired: messages given up because their time was over before the broker could take them.
        abandoned: messages not acknowledged when the worker stopped, or published after it.
        repeated: messages sent again because the connection was lost before they were acknowledged.
        requests: messages taken from the request topic.
        strays: messages taken whose topic is no request topic.
        oversize: messages read past because they are larger than a worker keeps.
        held: times the worker stopped reading because it had more unsettled requests than it takes.
        pauses: times the worker left the share because it was told to pause.
    """

    connects: int = 0
    published: int = 0
    refused: int = 0
    overflowed: int = 0
    expired: int = 0
    abandoned: int = 0
    repeated: int = 0
    requests: int = 0
    strays: int = 0
    oversize: int = 0
    held: int = 0
    pauses: int = 0

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self.connects - 1)

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self) | {"reconnects": self.reconnects}
