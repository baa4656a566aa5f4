"""Token buckets: so much at once, and so much a second for long. Time is an argument, in seconds."""

from collections.abc import Hashable
from typing import Final

_LOOK_AT: Final = 8
"""Buckets looked at for being full again, whenever one is taken from: so forgetting costs no sweep."""


class Bucket:
    """One bucket; it begins full.

    Args:
        rate: tokens that come back a second.
        burst: tokens it holds.
        now: the time.
    """

    __slots__ = ("__weakref__", "_at", "_burst", "_rate", "_refused", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now
        self._refused = 0

    def take(self, now: float) -> bool:
        """Take a token, where there is one."""
        self._fill(now)
        if self._tokens < 1:
            self._refused += 1
            return False
        self._tokens -= 1
        self._refused = max(0, self._refused - 1)
        return True

    def spend(self, tokens: int) -> None:
        """Take so many tokens, whether they are there or not."""
        self._tokens -= tokens

    def has_any(self, now: float) -> bool:
        """Whether there is a token."""
        self._fill(now)
        return self._tokens >= 1

    def is_full(self, now: float) -> bool:
        """Whether it is as good as new."""
        self._fill(now)
        return self._tokens >= self._burst

    @property
    def wait_s(self) -> float:
        """Seconds after which to try again. Who is refused several times in a row is told a time for each, one after
        the other: else all would be back at once, and all but one refused again.
        """
        return (max(1, self._refused) - self._tokens) / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._tokens >= self._burst:
            self._refused = 0


class Buckets:
    """A bucket for each of many; those that are full again are forgotten.

    Args:
        rate: tokens that come back a second, in each.
        burst: tokens each holds.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[Hashable, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, key: Hashable, now: float) -> Bucket:
        """The bucket of this one."""
        bucket = self._buckets.pop(key, None) or Bucket(self._rate, self._burst, now)
        self._forget_some(now)
        self._buckets[key] = bucket  # at the end: whoever was here the longest ago is looked at first
        return bucket

    def _forget_some(self, now: float) -> None:
        for key in [key for key, _ in zip(self._buckets, range(_LOOK_AT), strict=False)]:
            if self._buckets[key].is_full(now):
                del self._buckets[key]
