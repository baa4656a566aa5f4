"""Files that are written in one step, so that nobody ever reads half of one."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file. One that was there keeps its owner, group and mode: a server that runs as somebody else may have to
    read it. A new one is readable by its owner alone.

    Raises:
        OSError: it cannot be written, or not as it was; then it is as it was.
    """
    _write(path, content, lambda name: name.replace(path))


def make_file(path: Path, content: bytes) -> None:
    """Write a file that must not be there, readable by its owner alone.

    Raises:
        FileExistsError: it is there.
        OSError: it cannot be written.
    """
    _write(path, content, path.hardlink_to)


def _write(path: Path, content: bytes, put: Callable[[Path], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            _liken(handle, path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put(Path(name))
    finally:
        Path(name).unlink(missing_ok=True)


def _liken(handle: int, path: Path) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    made = os.fstat(handle)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))
