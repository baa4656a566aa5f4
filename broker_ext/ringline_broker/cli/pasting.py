"""Lines that can be pasted into a terminal."""

import shlex
import shutil
import sys
from pathlib import Path


def command() -> str:
    """What this command was started as, so that it can be pasted into another terminal in the same folder."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_shown(Path(sys.executable))} -m ringline"
    if shutil.which(started.name) == str(started.absolute()):
        return started.name
    return _shown(started)


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def _shown(program: Path) -> str:
    here = Path.cwd()
    absolute = program.absolute()
    return quoted(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
