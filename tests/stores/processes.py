"""Starting and killing child processes that have a store open."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def child(what: str, path: Path, *more: object) -> Generator["subprocess.Popen[str]"]:
    """A process of `tests.stores.child`; killed on the way out, if not before."""
    words = [sys.executable, "-m", "tests.stores.child", what, str(path), *map(str, more)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[str]") -> str:
    """The next line it says."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith("\n"), f"it ended, with {process.wait()}, after {line!r}"
    return line.rstrip("\n")


def rest_of(process: "subprocess.Popen[str]") -> list[str]:
    """What else it said, up to its end; a line it did not finish is none."""
    assert process.stdout is not None
    return [line.rstrip("\n") for line in process.stdout if line.endswith("\n")]
