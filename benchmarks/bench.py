"""The parts of the benchmark, each a row of steps that can be told, timed and interrupted."""

import shutil
import sqlite3
import statistics
import sys
from collections.abc import Callable, Collection, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import figures as fig
from benchmarks.beside import BROKER, STORE, WORKER
from benchmarks.forms import Form
from benchmarks.lab import Lab
from benchmarks.measure import resident_bytes
from benchmarks.orders import Order, Report
from benchmarks.processes import ROOT, Running, carry_out, child, first_line
from benchmarks.safety import Safety
from benchmarks.systems import BESIDE, DATABASE, System, embedded_memory, embedded_on, systems

PARTS = ("calls", "rate", "devices", "safety", "logins", "among", "open", "client")
KIB = 1024
MIB = 1024 * 1024
WARM_DEVICES = 50
_OF_PART = {BROKER: fig.BROKER_US, WORKER: fig.WORKER_US, STORE: fig.STORE_US}
FIRST_DUE_S = 2
"""After the deadlines' invitations begin to be opened, which takes a second."""


@dataclass(frozen=True)
class Step:
    """A run.

    Attributes:
        label: which.
        seconds: how long it takes, roughly: for the time left.
        work: does it.
    """

    label: str
    seconds: float
    work: Callable[[], None]


class Bench:
    """Measures, and writes it in its book.

    Args:
        form: how much.
        lab: where.
    """

    def __init__(self, form: Form, lab: Lab) -> None:
        self.book = fig.Book()
        self.settings: dict[str, list[str]] = {}
        self._form = form
        self._lab = lab
        self._systems = systems(memory=form.in_memory)
        shared = Order(kind="", count=0, users=form.users, outstanding=form.outstanding)
        self._calling = replace(shared, kind="ringline", count=form.calls, warm_up=form.warm_up)
        self._opening = replace(shared, kind="open")
        self._safety = Safety(form, lab, self.book, self._load)
        self._left_behind: dict[int, Path] = {}

    def parts(self) -> dict[str, list[Step]]:
        """The parts in their order, by name."""
        return {
            "calls": self._in_turn("calls", self._form.rounds, 1.2 + self._form.calls / 1_000, self._calls),
            "rate": self._in_turn("latency", self._form.rate_rounds, self._rate_seconds(), self._latency),
            "devices": self._in_turn("devices", 1, 0.5 + self._form.devices / 1_000, self._devices, without=BESIDE),
            "safety": self._rounds("safety", self._form.safe_rounds, 2.0, self._safety.calls(self._calling)),
            "logins": self._rounds("login", self._form.login_rounds, 1.5, self._safety.logins()),
            "among": self._among_steps(),
            "open": self._open_steps(),
            "client": [
                Step(f"client, round {n} of {self._form.client_rounds}", 1.0, self._client)
                for n in range(1, self._form.client_rounds + 1)
            ],
        }

    def steps(self, only: Collection[str] = PARTS) -> list[Step]:
        """Those of these parts."""
        return [step for name, part in self.parts().items() if name in only for step in part]

    def all_settings(self) -> dict[str, list[str]]:
        """How each server was set up, by its own word."""
        return self.settings | self._safety.settings

    # Systems beside each other.

    def _in_turn(
        self, what: str, rounds: int, seconds: float, work: Callable[[System, int], None], without: Collection[str] = ()
    ) -> list[Step]:
        """Each round runs each system once, so that a change of the machine's mood meets all alike."""
        return [
            Step(f"{what}, round {n} of {rounds}: {system.name}", seconds, partial(work, system, n))
            for n in range(1, rounds + 1)
            for system in self._systems
            if system.name not in without
        ]

    def _rate_seconds(self) -> float:
        return 0.7 + (self._form.rate_calls * 1.1) / self._form.rate

    def _calls(self, system: System, seed: int) -> None:
        with system.start(self._lab) as running:
            self.settings[system.name] = list(running.settings)
            report = self._load(running, replace(self._calling, kind=system.calls, seed=seed))
        self.book.add(system.name, fig.CPU_US, report.cpu_us)
        self._add_parts(system.name, running, report)
        self.book.add(system.name, fig.CALLS_PER_S, report.count / report.seconds)
        self.book.add(system.name, fig.GENERATOR, report.generator_share * 100)
        self.book.add(system.name, fig.PAYLOAD, report.payload_bytes / report.count)

    def _add_parts(self, subject: str, running: Running, report: Report) -> None:
        """What each part took of the CPU of a call, where there are several; parts of one name together."""
        for name, figure in _OF_PART.items():
            used = [cpu for part, cpu in zip(running.parts, report.process_cpu_s, strict=True) if part.name == name]
            if used:
                self.book.add(subject, figure, sum(used) / report.count * 1e6)

    def _latency(self, system: System, seed: int) -> None:
        calls, rate = self._form.rate_calls, self._form.rate
        order = replace(self._calling, kind=system.calls, count=calls, warm_up=calls // 10, rate=rate, seed=seed)
        with system.start(self._lab) as running:
            report = self._load(running, order)
        self._add_quantiles(system.name, fig.RING_P50, fig.RING_P99, report.ring_ms)
        self._add_quantiles(system.name, fig.ANSWER_P50, fig.ANSWER_P99, report.answer_ms)

    def _devices(self, system: System, _seed: int) -> None:
        order = Order(kind="connect", count=self._form.devices, warm_up=WARM_DEVICES, users=0)
        with system.start(self._lab) as running:
            report = self._load(running, order)
        self.book.add(system.name, fig.DEVICE_KIB, report.server_growth / report.count / KIB)

    def _rounds(
        self, what: str, rounds: int, seconds: float, runs: list[tuple[str, Callable[[int], None]]]
    ) -> list[Step]:
        """Likewise, of runs of ours."""
        return [
            Step(f"{what}, round {n} of {rounds}: {name}", seconds, partial(work, n))
            for n in range(1, rounds + 1)
            for name, work in runs
        ]

    def _among_steps(self) -> list[Step]:
        rounds = self._form.others_rounds
        return [
            Step(f"among {count:,} others, round {n} of {rounds}", 4.0, partial(self._safety.among, count, n))
            for n in range(1, rounds + 1)
            for count in self._form.others
        ]

    # Ours with many open invitations.

    def _open_steps(self) -> list[Step]:
        form = self._form
        steps = [Step(f"opening {count:,}", 1 + count / 1_500, partial(self._fill, count)) for count in form.open]
        for n in range(1, form.open_rounds + 1):
            for count in form.open:
                label = f"{fig.open_subject(count)}, round {n} of {form.open_rounds}"
                copying = count / 100_000
                steps.append(Step(f"{label}: start", 0.7 + copying, partial(self._start_again, count)))
                seconds = 1.5 + 2 * form.calls / 1_000 + copying
                steps.append(Step(f"{label}: calls", seconds, partial(self._calls_among, count, n)))
                if n <= form.lag_rounds:
                    seconds = 1.5 + FIRST_DUE_S + form.spread_s + copying
                    steps.append(Step(f"{label}: deadlines", seconds, partial(self._deadlines_among, count, n)))
        if form.burst:
            steps.append(Step(f"{form.burst:,} due at once", form.burst_after_s + 10, self._burst))
        return steps

    def _fill(self, count: int) -> None:
        """Open so many, then kill the server and keep what it leaves for all further runs.

        The first tenth is warm-up: what grows but once is not an invitation's.
        """
        folder = self._lab.folder / f"left-{count}"
        folder.mkdir()
        with embedded_on(self._lab, folder) as running:
            report = self._load(running, replace(self._opening, count=count - count // 10, warm_up=count // 10))
            running.kill()
        self._left_behind[count] = folder
        if count == max(self._form.open):  # of fewer, one page of memory more or less would show
            self.book.add(fig.open_subject(count), fig.INVITATION_KIB, report.server_growth / report.count / KIB)

    @contextmanager
    def _left(self, count: int) -> Generator[Path]:
        """A copy of what the killed server left."""
        with TemporaryDirectory(dir=self._lab.folder) as name:
            folder = Path(name) / "copy"
            yield Path(shutil.copytree(self._left_behind[count], folder))

    def _start_again(self, count: int) -> None:
        with self._left(count) as folder, embedded_on(self._lab, folder) as running:
            self.book.add(fig.open_subject(count), fig.START_S, running.start_s)

    @contextmanager
    def _holding(self, count: int) -> Generator[Running]:
        """A server that holds so many, and whose sqlite file is at rest: how much of the log was still to be folded
        into it when the other was killed is chance, and would be paid for by the calls.
        """
        with self._left(count) as folder:
            with closing(sqlite3.connect(folder / DATABASE)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            with embedded_on(self._lab, folder) as running:
                yield running

    def _calls_among(self, count: int, seed: int) -> None:
        """Calls, after as many for warm-up: sqlite reads each page of its file once, and more invitations have more."""
        order = replace(self._calling, warm_up=self._form.calls, seed=seed)
        with self._holding(count) as running:
            report = self._load(running, order)
        self.book.add(fig.open_subject(count), fig.OPEN_CPU_US, report.cpu_us)

    def _deadlines_among(self, count: int, seed: int) -> None:
        form = self._form
        order = replace(self._opening, kind="deadlines", count=form.deadlines, seed=seed)
        order = replace(order, timeout_s=FIRST_DUE_S, spread_s=form.spread_s)
        with self._holding(count) as running:
            report = self._load(running, order)
        self._add_quantiles(fig.open_subject(count), fig.LAG_P50, fig.LAG_P99, report.lag_ms)

    def _burst(self) -> None:
        form = self._form
        order = replace(self._opening, kind="burst", count=form.burst, timeout_s=form.burst_after_s)
        with TemporaryDirectory(dir=self._lab.folder) as folder, embedded_on(self._lab, Path(folder)) as running:
            report = self._load(running, order)
        self._add_quantiles(fig.burst_subject(self._form.burst), fig.BURST_P50, fig.BURST_P99, report.lag_ms)

    # A device.

    def _client(self) -> None:
        with embedded_memory(self._lab) as running:
            bare, _ = self._device()
            whole, import_ms = self._device(f"mqtt://127.0.0.1:{running.port}")
        self.book.add(fig.CLIENT_SUBJECT, fig.BARE_MIB, bare / MIB)
        self.book.add(fig.CLIENT_SUBJECT, fig.CLIENT_MIB, whole / MIB)
        self.book.add(fig.CLIENT_SUBJECT, fig.EXTRA_MIB, (whole - bare) / MIB)
        self.book.add(fig.CLIENT_SUBJECT, fig.IMPORT_MS, import_ms)

    def _device(self, *url: str) -> tuple[int, float]:
        """The bytes that a device's process holds, and the ms that its imports took."""
        words = [sys.executable, str(ROOT / "benchmarks/device_main.py"), *url]
        with child(words, self._lab.cores.load) as process:
            import_ms = float(first_line(process, "the device"))
            return resident_bytes(process.pid), import_ms

    # What they share.

    def _load(self, running: Running, order: Order) -> Report:
        return carry_out(running, order, self._lab.cores.load)

    def _add_quantiles(self, subject: str, median: fig.Figure, tail: fig.Figure, values: list[float]) -> None:
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        self.book.add(subject, median, cuts[49])
        self.book.add(subject, tail, cuts[98])
