"""Counters of the embedded broker's connections."""

from dataclasses import dataclass


@dataclass(slots=True)
class BrokerCounters:
    """Whole numbers since the start.

    Attributes:
        connections: connections that were accepted.
        turned_away: connections sent away at once: too many from there, or too many not logged in.
        refused: connections whose login was refused.
        cut_off: connections that were ended for being late, too slow, one too many, or not allowed any longer.
    """

    connections: int = 0
    turned_away: int = 0
    refused: int = 0
    cut_off: int = 0
