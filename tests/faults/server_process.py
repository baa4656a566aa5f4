"""A server that can be killed: the process and its files."""

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.support.bound import BOUND_S
from tests.support.running import free_port

ROOT = Path(__file__).parents[2]


class ServerDied(AssertionError):
    """The server was killed before it listened."""


class ServerProcess:
    """A server on one port and one sqlite file, killed and started again.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.data = folder / "ringline.sqlite"
        self.log_file = folder / "server.log"
        self.kills = 0
        self.pid = 0
        with self.log_file.open("ab") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.crashing_server", f"--port={self.port}", f"--data={self.data}"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._nursery.communicate(timeout=BOUND_S)
        except subprocess.TimeoutExpired:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            self._nursery.kill()
            self._nursery.communicate()
            raise

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self, crash: str = "") -> None:
        """Start; with `crash`, POINT:N, it kills itself there.

        Raises:
            ServerDied: at that point it did not listen yet.
        """
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(f"start {crash}\n".encode())
        self._nursery.stdin.flush()
        word, number = self._next_word()
        if word != "ready":
            assert int(number) == -signal.SIGKILL, f"the server ended by itself: {number}\n{self.log_text()}"
            self.kills += 1
            raise ServerDied
        self.pid = int(number)

    def kill(self) -> None:
        """Kill with SIGKILL, from any thread; `await_death` has to follow."""
        self._send(signal.SIGKILL)

    def await_death(self) -> None:
        """Wait until it was killed, by whoever's hand."""
        self._await_end(-signal.SIGKILL)
        self.kills += 1

    def stop(self) -> None:
        """Stop as it should."""
        self._send(signal.SIGTERM)
        self._await_end(0)

    def log_text(self) -> str:
        """What it logged so far, from level warning up."""
        return self.log_file.read_text(errors="replace")

    def assert_no_fault_logged(self) -> None:
        """No exception was logged, and no turn failed."""
        text = self.log_text()
        assert "Traceback" not in text, text[-4000:]
        assert "a turn failed" not in text, text[-4000:]

    def _send(self, number: signal.Signals) -> None:
        assert self.pid > 0, "no server runs"  # 0 would be this very group of processes
        os.kill(self.pid, number)

    def _await_end(self, status: int) -> None:
        word, number = self._next_word()
        self.pid = 0
        assert (word, int(number)) == ("ended", status), f"the server {word} {number}\n{self.log_text()}"

    def _next_word(self) -> tuple[str, str]:
        out = self._nursery.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            assert selector.select(BOUND_S), "the server says nothing"
        word, _, number = out.readline().decode().strip().partition(" ")
        return word, number
