"""Measures what a call costs: `make bench`, or `python -m benchmarks --help`."""

import argparse
import resource
import signal
import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench import PARTS, Bench, Step
from benchmarks.errors import BenchError
from benchmarks.forms import FULL, SHORT, TOY, Form
from benchmarks.lab import PROGRAMS, Lab, find_program
from benchmarks.machine import choose_cores, describe, require_proc
from benchmarks.processes import ROOT
from benchmarks.report import page
from benchmarks.result import Result

BUILD = ROOT / "build"
PAGE = ROOT / "docs" / "benchmarks.md"
OTHER_FILES = 200
"""That a server or the load generator has open beside a connection a device."""
INTERRUPTED = 130


def tell(text: str, end: str = "\n") -> None:
    """Show progress."""
    print(text, end=end, file=sys.stderr, flush=True)


def allow_files(form: Form) -> None:
    """Let the servers and the load generator, which inherit it, have a connection open for every device.

    Raises:
        BenchError: that many may not be open.
    """
    wanted = max(form.devices, form.users, *form.others) + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < wanted:
        raise BenchError(f"{wanted} files must be open at once, and `ulimit -Hn` allows {hard}")
    if resource.RLIM_INFINITY != soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def measure(form: Form, only: Collection[str] = PARTS) -> Result:
    """Run the steps of these parts, telling how it goes."""
    require_proc()
    allow_files(form)
    cores = choose_cores()
    BUILD.mkdir(exist_ok=True)
    programs = {name: find_program(name) for name in PROGRAMS}
    missing = [f"{name} is not installed: what needs it was not measured." for name in PROGRAMS if not programs[name]]
    notes = [cores.note, *missing]
    began = time.monotonic()
    with TemporaryDirectory(dir=BUILD, prefix="bench-") as name:
        bench = Bench(form, Lab(Path(name), cores))
        tell(f"bench: the {form.name} form")
        for note in notes:
            tell(f"bench: {note}")
        run(bench, bench.steps(only))
        machine = describe(Path(name), programs)
    return Result(
        form=form,
        date=datetime.now(UTC).date().isoformat(),
        seconds=time.monotonic() - began,
        machine=machine,
        notes=notes,
        settings=bench.all_settings(),
        samples=bench.book.samples,
    )


def run(bench: Bench, steps: list[Step]) -> None:
    """Take the steps; the time left follows from how long those before took."""
    expected, began = 0.0, time.monotonic()
    total = sum(step.seconds for step in steps)
    for number, step in enumerate(steps, 1):
        pace = (time.monotonic() - began) / expected if expected else 1.0
        minutes, seconds = divmod(round((total - expected) * pace), 60)
        tell(f"[{number:>2}/{len(steps)}, {minutes}:{seconds:02} left] {step.label} … ", end="")
        step.work()
        expected += step.seconds
        tell(bench.book.read_new() or "done")


def options_of(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, allow_abbrev=False)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_const", const=FULL, dest="form", help="more rounds, more of everything")
    which.add_argument(
        "--toy", action="store_const", const=TOY, dest="form", help="only shows that it runs: the figures mean nothing"
    )
    which.add_argument("--from-json", type=Path, metavar="PATH", help="measure nothing, take this earlier result")
    parser.add_argument(
        "--only", choices=PARTS, action="append", metavar="PART",
        help=f"this part, and others that are named so, of {', '.join(PARTS)}",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="PATH", help="where the result goes (build/bench-FORM.json)")
    parser.add_argument("--write", action="store_true", help="rewrite docs/benchmarks.md from the result")
    parser.set_defaults(form=SHORT)
    options = parser.parse_args(words)
    if options.from_json and options.json:
        parser.error("--json is for a result that is measured")
    if options.only and (options.write or options.from_json):
        parser.error("--only measures a part and prints it; the page needs all of them, from one run")
    return options


def end_as_killed(number: int, _frame: object) -> None:
    """On SIGTERM and SIGHUP: end the children too."""
    raise SystemExit(128 + number)


def work(options: argparse.Namespace) -> None:
    """Measure or read, then write what was asked for."""
    if options.from_json:
        result = Result.read(options.from_json)
    else:
        result = measure(options.form, options.only or PARTS)
        path = options.json or BUILD / f"bench-{result.form.name}.json"
        result.write(path)
        tell(f"bench: the result is in {path}")
    if options.write:
        PAGE.write_text(page(result), encoding="utf-8")
        tell(f"bench: wrote {PAGE}")
    else:
        print(page(result), end="")


def main(words: list[str]) -> int:
    """Run; the exit code."""
    options = options_of(words)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_as_killed)
    try:
        work(options)
    except KeyboardInterrupt:
        tell("\nbench: interrupted, nothing is written")
        return INTERRUPTED
    except BenchError as failed:
        tell(f"\nbench: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
