"""Workers beside one Mosquitto and one redis, each a process that is killed and started again."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.support.running import BOUND_S

ROOT = Path(__file__).parents[2]
SHARE = "a secret of this test"


class Workers:
    """So many processes of `ringline worker`.

    Args:
        folder: for their logs.
        count: how many.
        broker: the port of the broker.
        store: the store's URL.
    """

    def __init__(self, folder: Path, count: int, broker: int, store: str) -> None:
        self.log_file = folder / "workers.log"
        self.kills = 0
        self._words = ["--broker", f"mqtt://127.0.0.1:{broker}", "--store", store]
        self._words += ["--lease-s", "1", "--request-rate", "0"]
        self._count = count
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        starting = [self._begin() for _ in range(self._count)]
        for process in starting:
            self._await_working(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.communicate(timeout=BOUND_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise

    def kill_one(self, rng: random.Random) -> None:
        """Kill one of them."""
        rng.choice(self._running).send_signal(signal.SIGKILL)
        self.kills += 1

    def replace_dead(self) -> None:
        """Start another for each that was killed, and wait until it works."""
        dead = [process for process in self._running if process.poll() is not None]
        for process in dead:
            process.communicate()
            self._running.remove(process)
        for process in [self._begin() for _ in dead]:
            self._await_working(process)

    def await_death(self) -> None:
        """Wait until a killed one is gone."""
        assert any(_is_gone(process) for process in self._running)

    def _begin(self) -> subprocess.Popen[str]:
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ringline", "worker", *self._words],
                cwd=ROOT, env=os.environ | {"RINGLINE_SHARE": SHARE}, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._running.append(process)
        return process

    def _await_working(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "works beside" in line, f"a worker does not start: {self.log_file.read_text()[-2_000:]}"

    def assert_no_fault_logged(self) -> None:
        """No worker wrote a traceback."""
        log = self.log_file.read_text()
        assert "Traceback" not in log, log[-4_000:]


def _is_gone(process: subprocess.Popen[str]) -> bool:
    if process.poll() is not None:
        return True
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return False
    return True
