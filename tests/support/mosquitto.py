"""A real Mosquitto: a process of its own on a loopback port, killed and started again on the same one."""

import os
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import IO, Final, Self

from ringline_broker.deployment.mosquitto import find_program
from tests.support.bound import BOUND_S
from tests.support.running import free_port
from tests.support.services import missing

_KEPT_LINES: Final = 1_000


def find_mosquitto() -> str:
    """The program; where there is none, skips at home and fails in CI."""
    found = find_program()
    return str(found) if found is not None else missing("mosquitto")


class Mosquitto:
    """One broker; a context manager that starts and ends it.

    Args:
        folder: for its configuration.
        config: lines of mosquitto.conf, after those that make it listen on a loopback port. Without `allow_anonymous`
            among them everybody may log in.
        port: where to listen; any free one where left out.
    """

    def __init__(self, folder: Path, config: str = "", port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.log: deque[str] = deque(maxlen=_KEPT_LINES)
        self._program = find_mosquitto()
        self._file = folder / f"mosquitto-{self.port}.conf"
        self._config = config
        self._process: subprocess.Popen[str] | None = None
        self._reading: threading.Thread | None = None
        self._is_running = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it listens."""
        assert self._process is None, "it runs already"
        self._file.write_text(self._settings())
        self._is_running.clear()
        process = self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        self._reading = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._reading.start()
        if not self._is_running.wait(BOUND_S) or process.poll() is not None:
            self.kill()
            raise AssertionError("mosquitto does not start:\n" + "\n".join(self.log))

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as it should be; a second call does nothing."""
        self._end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _settings(self) -> str:
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_dest stderr"]
        lines += [f"log_type {kind}" for kind in ("error", "warning", "notice", "information")]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            lines.append("user root")  # else it becomes a user who cannot read a test's files
        if "allow_anonymous" not in self._config:
            lines.append("allow_anonymous true")
        return "\n".join((*lines, self._config, ""))

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.log.append(line.rstrip())
            if line.rstrip().endswith(" running"):
                self._is_running.set()
        self._is_running.set()  # whoever waits sees that it ended

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(by)
        try:
            process.wait(BOUND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(BOUND_S)
        if self._reading is not None:
            self._reading.join(BOUND_S)
        if process.stderr is not None:
            process.stderr.close()
