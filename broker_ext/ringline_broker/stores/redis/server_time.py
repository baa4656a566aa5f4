"""Store time: the server's, kept up here on the monotonic clock between two looks at it."""

from typing import Final

from ringline_broker.service.ports import Clock

_LOOK_EVERY_MS: Final = 1_000
_SLOWER_BY_MS: Final = 1
"""What is taken back at one look, where we are ahead: time goes on, a little slower."""


class ServerTime:
    """Never goes back. It follows a server whose clock runs ahead at once, and one that was set back hardly at all:
    deadlines stay where they are, and all processes keep to the newest time that one of them wrote.

    Args:
        clock: only its monotonic time is used.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = 0
        self._newest = 0
        self._look_at = 0
        self._is_kept = False

    def now(self) -> int:
        """Epoch milliseconds."""
        self._newest = max(self._newest, self._clock.monotonic_ms() + self._offset)
        return self._newest

    def look(self) -> int | None:
        """Where it is time to look at the server's clock: when that was begun, for `heard`."""
        now = self._clock.monotonic_ms()
        if now < self._look_at:
            return None
        self._look_at = now + _LOOK_EVERY_MS
        return now

    def heard(self, server_ms: int, written_ms: int, begun: int) -> None:
        """Take what a look has brought.

        Args:
            server_ms: the server's clock.
            written_ms: the newest time that a process wrote.
            begun: as `look` said.
        """
        got = self._clock.monotonic_ms()
        least, most = max(server_ms, written_ms) - got, max(server_ms, written_ms) - begun
        if self._offset < least:
            self._offset = least
        elif self._offset > most:
            self._offset -= _SLOWER_BY_MS

    def at_least(self, written_ms: int) -> None:
        """Start no earlier than this, the newest time that a process wrote. From now on others start by this one."""
        self._offset = max(self._offset, written_ms - self._clock.monotonic_ms())
        self._is_kept = True

    def to_write(self) -> int | None:
        """Where others start by this time: what is written with a look, milliseconds. Who only looks writes nothing."""
        return self.now() if self._is_kept else None


class Tickets:
    """Numbers that go up, for the order in which records are first written: store time in microseconds, and where
    that is not enough to tell two apart, a little ahead of it.
    """

    def __init__(self) -> None:
        self.last = 0

    def next(self, now_ms: int) -> int:
        """Another one."""
        self.last = max(self.last + 1, now_ms * 1_000)
        return self.last
