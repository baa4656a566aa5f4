"""Takes out what cures each complaint, one at a time, and sees its test go red: `python -m tests.cures [NUMBER…]`.

Works on copies; prints the line it took out. Ends with 1 where a test stays green without its cure.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
AT_ONCE = 2


@dataclass(frozen=True)
class Cure:
    """What to take out: in this file, these words, and what stands there without the cure."""

    number: str
    file: str
    words: str
    instead: str


def read_cures() -> list[Cure]:
    """The cures, from cures.toml beside this file."""
    return [Cure(**row) for row in tomllib.loads((ROOT / "tests/cures.toml").read_text())["cure"]]


def is_red(cure: Cure) -> bool:
    """Run the complaint's test on a copy without the cure."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("client", "broker_ext", "tests", "pyproject.toml"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        file = copy / cure.file
        text = file.read_text()
        if text.count(cure.words) != 1:
            raise SystemExit(f"{cure.number}: {cure.file} has these words {text.count(cure.words)} times: {cure.words}")
        file.write_text(text.replace(cure.words, cure.instead))
        tests = ["tests/scenarios/test_complaints.py", "-k", f"test_complaint_{cure.number} and not sqlite"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "--no-header", *tests],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": f"{copy / 'client'}:{copy / 'broker_ext'}"},
            capture_output=True,
            text=True,
            check=False,
        )
    print(f"{cure.number} {'red' if done.returncode == 1 else 'GREEN'}: without `{cure.words.strip()}` in {cure.file}")  # noqa: T201
    return done.returncode == 1


def main() -> None:
    """Check those named on the command line, or all."""
    wanted = [cure for cure in read_cures() if not sys.argv[1:] or cure.number in sys.argv[1:]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        red = list(pool.map(is_red, wanted))
    print(f"{sum(red)} of {len(red)} tests go red without their cure")  # noqa: T201
    raise SystemExit(0 if all(red) else 1)


if __name__ == "__main__":
    main()
