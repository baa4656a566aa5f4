"""Workers beside one broker and one store, each a process that is killed and started again."""

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final, Self
from urllib.request import urlopen

from tests.support.bound import BOUND_S
from tests.support.redis_servers import eventually
from tests.support.running import free_port

ROOT: Final = Path(__file__).parents[2]
SHARE: Final = "a secret of this test"
LEASE_S: Final = 1
START_S: Final = 30.0
_METRIC: Final = re.compile(rb"^ringline_(\w+?)(?:_total)? ([0-9.e+]+)$", re.MULTILINE)


def now_ms() -> int:
    """The time of this machine, which is the server's too: epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Way:
    """How a worker reaches the others: a broker's port, and a store's URL."""

    broker: int
    store: str


@dataclass(slots=True)
class _Place:
    """One worker after another, at one way; with what those before counted, as far as is known, and this one."""

    way: Way
    log_file: Path
    port: int = field(default_factory=free_port)
    process: int = -1
    before: Counter[str] = field(default_factory=Counter[str])
    now: Counter[str] = field(default_factory=Counter[str])

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def look(self) -> None:
        metrics = f"http://127.0.0.1:{self.port}/metrics"
        with suppress(OSError, HTTPException), urlopen(metrics, timeout=BOUND_S) as page:
            self.now = Counter({name.decode(): int(float(number)) for name, number in _METRIC.findall(page.read())})

    def count(self, name: str) -> int:
        assert name in self.now, f"a worker counts no {name}"
        return self.before[name] + self.now[name]

    def send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self.process, number)

    def is_gone(self, within_s: float) -> bool:
        """Whether the process ends within so long; it is let go of then."""
        if not select.select([self.process], [], [], within_s)[0]:
            return False
        os.close(self.process)
        self.process = -1
        return True


class Workers:
    """Processes of `ringline worker`, one for each way.

    Args:
        folder: for their logs.
        ways: how each reaches broker and store.

    Attributes:
        killed_at: when each was that was killed, epoch milliseconds.
    """

    def __init__(self, folder: Path, ways: Sequence[Way]) -> None:
        self.killed_at: list[int] = []
        self._places = [_Place(way, folder / f"worker-{at}.log") for at, way in enumerate(ways)]
        self._dying: list[_Place] = []
        self._lock = threading.Lock()
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker_nursery"], cwd=ROOT, env=os.environ | {"RINGLINE_SHARE": SHARE},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self._begin(self._places)
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGTERM)

    def kill_one(self, rng: random.Random) -> None:
        """Kill one of them with SIGKILL, from any thread; `replace_dead` has to follow."""
        with self._lock:
            place = rng.choice([place for place in self._places if place not in self._dying])
            place.send(signal.SIGKILL)
            self._dying.append(place)
            self.killed_at.append(now_ms())

    def replace_dead(self) -> None:
        """Start another for each that was killed, and wait until it works."""
        with self._lock:
            dead, self._dying = self._dying, []
        for place in dead:
            assert place.is_gone(BOUND_S), "a worker outlives SIGKILL"
            place.before, place.now = place.before + place.now, Counter()
        self._begin(dead)

    def look(self) -> None:
        """Read what all of them count. What one counts after the last look before it is killed, nobody knows."""
        for place in self._places:
            place.look()

    def count(self, name: str, *at: int) -> int:
        """What these workers counted, or all of them, up to now: a metric's name without its prefix and suffix."""
        self.look()
        return sum(self._places[one].count(name) for one in at or range(len(self._places)))

    def counted(self, name: str) -> int:
        """What all of them had counted at the last look."""
        return sum(place.before[name] + place.now[name] for place in self._places)

    def await_sharing(self) -> None:
        """Wait until all of them take requests."""
        everyone = range(len(self._places))
        eventually(lambda: all(self.shares(at) for at in everyone), "all workers are in the share")

    def shares(self, at: int) -> bool:
        """Whether this one takes requests now."""
        self._places[at].look()
        return self._places[at].now["link_sharing"] == 1

    def assert_no_fault_logged(self) -> None:
        """No worker wrote a traceback, none but those killed ended."""
        for place in self._places:
            assert "Traceback" not in place.log(), place.log()[place.log().index("Traceback") - 1_000 :][:6_000]

    def _begin(self, places: Sequence[_Place]) -> None:
        """Start these, one after the other: forking takes no time."""
        for place in places:
            words = ["--broker", f"mqtt://127.0.0.1:{place.way.broker}", "--store", place.way.store]
            words += ["--lease-s", str(LEASE_S), "--request-rate", "0", "--http-port", str(place.port)]
            place.process = os.pidfd_open(self._start([str(place.log_file), *words], place))

    def _start(self, line: list[str], place: _Place) -> int:
        """The process's id, once it works."""
        into, out = self._nursery.stdin, self._nursery.stdout
        assert into is not None
        assert out is not None
        into.write(json.dumps(line) + "\n")
        into.flush()
        said = out.readline() if select.select([out], [], [], START_S)[0] else ""
        assert said, f"a worker does not start: {place.log()[-4_000:]}"
        return int(json.loads(said)["pid"])

    def _end(self, by: signal.Signals) -> None:
        running = [place for place in self._places if place.process >= 0]
        for place in running:
            with suppress(ProcessLookupError):
                place.send(by)
        late = [place for place in running if not place.is_gone(BOUND_S)]
        for place in late:
            place.send(signal.SIGKILL)
        self._nursery.communicate(timeout=BOUND_S)
        assert not late, f"{len(late)} workers did not end within {BOUND_S} s"


@contextmanager
def working(folder: Path, ways: Sequence[Way]) -> Generator[Workers]:
    """Workers that must not log a fault while inside."""
    with Workers(folder, ways) as workers:
        yield workers
    workers.assert_no_fault_logged()
