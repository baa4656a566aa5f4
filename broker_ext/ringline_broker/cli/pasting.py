"""Lines that can be pasted into a terminal."""

import shlex
import shutil
import sys
from pathlib import Path


def command(*, anywhere: bool = False) -> str:
    """What this command was started as, so that it can be pasted into another terminal.

    Args:
        anywhere: whether in any folder; else it is in the same one.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_shown(Path(sys.executable), anywhere=anywhere)} -m ringline"
    if shutil.which(started.name) == str(started.absolute()):
        return started.name
    return _shown(started, anywhere=anywhere)


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def _shown(program: Path, *, anywhere: bool) -> str:
    here = Path.cwd()
    absolute = program.absolute()
    return quoted(absolute.relative_to(here) if absolute.is_relative_to(here) and not anywhere else absolute)
