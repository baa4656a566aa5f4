"""A lock on a file or a folder, so that it belongs to one process; the lock names it."""

import contextlib
import fcntl
import os
from pathlib import Path

from ringline_broker.service.ports import StoreInUse, StoreUnavailable


class FileLock:
    """Held from construction to release, and let go by the kernel when the process dies, however it dies.

    Args:
        path: what is locked; the lock is a file beside it, with `.lock` added.

    Raises:
        StoreInUse: another process holds it; the message says which.
        StoreUnavailable: it cannot be locked.
    """

    def __init__(self, path: Path) -> None:
        fd = -1
        try:
            fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failed:
            holder = os.read(fd, 64).decode(errors="replace").strip() if fd >= 0 else ""
            if fd >= 0:
                os.close(fd)
            if isinstance(failed, BlockingIOError):
                raise StoreInUse(f"{path} is in use by another server, process {holder or 'unknown'}") from None
            raise StoreUnavailable(f"cannot lock {path}: {failed.strerror}") from failed
        self._fd = fd
        with contextlib.suppress(OSError):  # a full disk must not keep the store closed for want of a name
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
