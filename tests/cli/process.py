"""The `ringline` command as real processes whose lines tests can wait on."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any, TypeVar
from unittest import mock

from ringline_broker.cli import main
from tests.support.bound import BOUND_S

T = TypeVar("T")


class Ringline:
    """A process of the command.

    Args:
        arguments: its arguments.
        env: environment variables, None to take one away; nothing of Ringline's is inherited.
        stdin: what it reads; nothing where left out.
        cwd: the folder it runs in.
        program: the command itself.
    """

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        cwd: Path | None = None,
        program: tuple[str, ...] = (sys.executable, "-m", "ringline"),
    ) -> None:
        self.arguments = arguments
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RINGLINE_")}
        self._popen = subprocess.Popen(
            [*program, *arguments],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env=inherited | dict(env or {}),
            start_new_session=True,
        )
        self._changed = threading.Condition()
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [self._read(self._popen.stdout, self._out), self._read(self._popen.stderr, self._err)]
        if stdin is not None and self._popen.stdin is not None:
            self._popen.stdin.write(stdin)
            self._popen.stdin.close()

    def _read(self, pipe: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert pipe is not None

        def read() -> None:
            with pipe:
                for line in pipe:
                    with self._changed:
                        lines.append(line.rstrip("\n"))
                        self._changed.notify_all()
            with self._changed:
                self._changed.notify_all()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def out(self) -> list[str]:
        """The lines of stdout so far."""
        with self._changed:
            return list(self._out)

    @property
    def err(self) -> list[str]:
        """The lines of stderr so far."""
        with self._changed:
            return list(self._err)

    @property
    def events(self) -> list[dict[str, Any]]:
        """stdout as JSON, a map a line."""
        return [json.loads(line) for line in self.out]

    def line(self, pattern: str, bound_s: float = BOUND_S) -> str:
        """Wait for a line of stdout."""
        return self._await(lambda: next((one for one in self._out if re.search(pattern, one)), None), pattern, bound_s)

    def err_line(self, pattern: str, bound_s: float = BOUND_S) -> str:
        """Wait for a line of stderr."""
        return self._await(lambda: next((one for one in self._err if re.search(pattern, one)), None), pattern, bound_s)

    def event(self, name: str, bound_s: float = BOUND_S, count: int = 1, **wanted: Any) -> dict[str, Any]:
        """Wait for an event in JSON with these fields; the latest of `count`."""

        def find() -> dict[str, Any] | None:
            events = [json.loads(line) for line in self._out]
            fit = [e for e in events if e.get("event") == name and all(e.get(k) == v for k, v in wanted.items())]
            return fit[count - 1] if len(fit) >= count else None

        return self._await(find, f"{name} {wanted}", bound_s)

    def _await(self, find: Callable[[], T | None], what: str, bound_s: float) -> T:
        end = time.monotonic() + bound_s
        with self._changed:
            while True:
                found = find()
                if found is not None:
                    return found
                left = end - time.monotonic()
                is_over = not any(reader.is_alive() for reader in self._readers)
                if left <= 0 or is_over:
                    raise AssertionError(f"no {what!r} of {self.arguments}; out: {self._out}; err: {self._err}")
                self._changed.wait(min(left, 0.5))

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def end(self, bound_s: float = BOUND_S) -> int:
        """Wait for its end; the exit code."""
        code = self._popen.wait(bound_s)
        for reader in self._readers:
            reader.join(bound_s)
            assert not reader.is_alive(), f"something that {self.arguments} started goes on"
        return code

    def interrupt(self, bound_s: float = BOUND_S) -> int:
        """Ctrl-C; the exit code."""
        self.signal(signal.SIGINT)
        return self.end(bound_s)

    def kill(self) -> None:
        """Whatever state it is in, and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.end()


@contextmanager
def _same_logging() -> Generator[None]:
    """Other tests of this process log as before."""
    loggers = [logging.getLogger(name) for name in (None, "ringline", "ringline_broker")]
    levels = [logger.level for logger in loggers]
    handlers = loggers[0].handlers
    loggers[0].handlers = []
    try:
        yield
    finally:
        loggers[0].handlers = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Finished:
    """A command that ran in this process, for what needs no other: the same `main`, without the start of a Python.

    Args:
        arguments: its arguments.
    """

    def __init__(self, *arguments: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", ["ringline", *arguments]):
            try:
                with _same_logging():
                    main()
            except SystemExit as end:
                self.code = end.code
        self.out = out.getvalue().splitlines()
        self.err = err.getvalue().splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        """stdout as JSON, a map a line."""
        return [json.loads(line) for line in self.out]

    def event(self, name: str) -> dict[str, Any]:
        """The first event of this name."""
        return next(event for event in self.events if event["event"] == name)


def assert_clean_error(done: Ringline | Finished) -> None:
    """An error is one or two lines, and never a traceback."""
    assert 1 <= len(done.err) <= 2, done.err
    assert not any("Traceback" in line for line in done.err)
