"""Feeds a million broken inputs to a server: `make fuzz`, or `python -m tests.fuzz --help`."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import Plan, describe, feed_only, fuzz
from tests.fuzz.server import Found

_DEFAULTS_SHARE = 0.05
"""Of the inputs, that go to a server with all its limits; it takes them more slowly."""


def main() -> int:
    """Read the options and fuzz; the exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many (1000000)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of a run to repeat")
    parser.add_argument("--only", metavar="N[-M]", help="these inputs alone, one after the other")
    parser.add_argument("--defaults", action="store_true", help="with --only: a server with its default limits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringline-fuzz-") as name:
        try:
            if options.only:
                _again(Plan(options.seed, 0, 0, defaults=options.defaults), options.only, Path(name))
            else:
                _run(options.seed, options.inputs, Path(name))
        except Found as found:
            _tell(str(found))
            return 1
    return 0


def _run(seed: int, count: int, folder: Path) -> None:
    limited = int(count * _DEFAULTS_SHARE)
    fuzz(Plan(seed, 0, count - limited), folder / "free", _tell)
    fuzz(Plan(seed, count - limited, limited, defaults=True), folder / "limited", _tell)
    _tell("nothing found")


def _again(plan: Plan, numbers: str, folder: Path) -> None:
    first, _, last = numbers.partition("-")
    wanted = list(range(int(first), int(last or first) + 1))
    found = feed_only(plan, wanted, folder)
    if found is not None:
        one, why = found
        raise Found(f"{describe(one)}\n{why}")
    _tell(f"the server stood all {len(wanted)} of them")


def _tell(text: str) -> None:
    sys.stderr.write(f"fuzz: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
