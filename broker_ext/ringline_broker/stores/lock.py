"""A lock on a file, so that a store belongs to one process; the file names it."""

import fcntl
import os
from pathlib import Path

from ringline_broker.service.ports import StoreInUse, StoreUnavailable


class FileLock:
    """Held from construction to release, and let go by the kernel when the process dies, however it dies.

    Raises:
        StoreInUse: another process holds it; the message says which.
        StoreUnavailable: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as failed:
            raise StoreUnavailable(f"cannot lock {path}: {failed.strerror}") from failed
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 64).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreInUse(f"{path.parent} is in use by another server, process {holder}") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
