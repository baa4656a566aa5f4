"""The process that is fuzzed, as the fuzzer holds it."""

import json
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.bound import BOUND_S

ROOT = Path(__file__).parents[2]
_THE_LAST = 10
"""Objects of connections that are over, still named by somebody's local variable: the last of a loop, and the like."""


class Found(AssertionError):
    """Something is wrong with the server."""


@dataclass(frozen=True, slots=True)
class Census:
    """What is in the server's process.

    Attributes:
        rss_kib: its memory.
        cpu_s: processor time so far, seconds.
        sockets: TCP sockets, the listening ones too.
        tasks: asyncio's.
        devices: connections' objects.
        objects: Python objects that the garbage collector knows.
        ours: the most frequent of them that are of our own classes.
        log: warnings by what they say, and how many.
        counts: the extension's own counters.
    """

    rss_kib: int
    cpu_s: float
    sockets: int
    tasks: int
    devices: int
    objects: int
    ours: dict[str, int]
    log: dict[str, int]
    counts: dict[str, int]

    def is_as_before(self, before: "Census") -> bool:
        """Whether nobody's connection, nor any work, is left that was not there before."""
        is_gone = self.sockets <= before.sockets and self.tasks <= before.tasks
        return is_gone and self.devices < before.devices + _THE_LAST


class FuzzedServer:
    """A server in a process of its own.

    Args:
        folder: for its files.
        defaults: whether it has the limits that it has by default.
        fault: one to build in, to see that it is found.
    """

    def __init__(self, folder: Path, *, defaults: bool = False, fault: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._findings = folder / "findings.log"
        program = [sys.executable, "-m", "tests.fuzz.server_main", f"--data={folder / 'ringline.sqlite'}"]
        program += ["--defaults"] * defaults + [f"--fault={fault}"] * bool(fault)
        with self._findings.open("wb") as findings:
            self._process = subprocess.Popen(
                program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=findings
            )

    def __enter__(self) -> Self:
        try:
            self.ports: dict[str, int] = self._hear()["ports"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        try:
            self._process.communicate(timeout=BOUND_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise Found("the server does not stop") from None
        if kind is None and (self._process.returncode or self.said()):
            raise Found(f"the server ended with {self._process.returncode}, and says:\n{self.said()}")

    def check(self) -> None:
        """See that it runs, and has said nothing of an error.

        Raises:
            Found: not so.
        """
        if self._findings.stat().st_size:
            raise Found(f"the server says:\n{self.said()}")
        if self._process.poll() is not None:
            raise Found(f"the server ended by itself: {self._process.returncode}")

    def said(self) -> str:
        """What it said of errors, if anything; the beginning where it is long."""
        return self._findings.read_text(errors="replace")[:4_000]

    def census(self) -> Census:
        """Count what is in it.

        Raises:
            Found: it does not answer, or has said something of an error.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"census\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.check()
            raise
        found = Census(**self._hear())
        self.check()
        return found

    def _hear(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(BOUND_S):
                raise Found("the server does nothing any more")
        line = out.readline()
        if not line:
            self._process.wait(BOUND_S)
            raise Found(f"the server ended by itself: {self._process.returncode}\n{self.said()}")
        heard: dict[str, Any] = json.loads(line)
        return heard
