"""A device's wall clock may be wrong by a year: nothing it hears depends on it."""

import ast
import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import pytest

import ringline
from ringline_broker.testing import ManualClock
from tests.faults.server_process import ROOT
from tests.support.bound import BOUND_S
from tests.support.proxy import Proxy
from tests.support.running import Ring

YEAR_S = 365 * 24 * 3600
RING = "receive_new_invitation"
ENDED = "invitation_ended"


class StrangeDevice:
    """A device in a process of its own, whose clock is wrong."""

    def __init__(self, url: str, user: str, name: str, *clock: str, since: int | None = None) -> None:
        self.name = name
        command = [sys.executable, "-m", "tests.faults.wrong_clock_device", "--url", url, "--user", user]
        command += ["--device", name, *clock, *([] if since is None else [f"--since={since}"])]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.heard: list[list[Any]] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(BOUND_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")

    def wait(self, name: str, invite_id: str | None = None, count: int = 1) -> Any:
        """Wait for a callback; its third value, which is the time left of a ring."""
        while True:
            found = [one for one in self.heard if one[0] == name and invite_id in (None, one[1])]
            if len(found) >= count:
                return found[count - 1][2]
            self._read(name)

    def names(self, invite_id: str) -> list[str]:
        return [name for name, iid, _ in self.heard if iid == invite_id]

    def _read(self, wanted: str) -> None:
        try:
            line = self._lines.get(timeout=BOUND_S)
        except queue.Empty:
            line = ""
        assert line, f"no {wanted}; heard: {self.heard}"
        self.heard.append(json.loads(line))

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


@pytest.mark.parametrize("clock", [(f"--off={YEAR_S}",), (f"--off={-YEAR_S}",), (f"--off={YEAR_S}", "--jumps")])
def test_a_device_with_a_wrong_clock_hears_what_others_hear(clock: tuple[str, ...]) -> None:
    with Ring(clock=ManualClock()) as ring, Proxy(ring.port) as proxy:
        alice, right = ring.device("alice"), ring.device("bob", "right")
        calls = []
        with StrangeDevice(proxy.url, "bob", "wrong", *clock) as wrong:
            wrong.wait("connected")

            def call() -> str:
                iid = alice.client.invite(["bob"], timeout=30).invite_id
                right.heard.wait(RING, invite_id=iid)
                calls.append(iid)
                return iid

            timed_out = call()
            assert wrong.wait(RING, timed_out) == 30.0
            ring.advance(30_000)
            wrong.wait(ENDED, timed_out)

            answered = call()
            wrong.wait(RING, answered)
            wrong.tell(f"accept {answered}")
            wrong.wait(ENDED, answered)
            assert alice.heard.wait("invitee_accepted", invite_id=answered).device == "wrong"

            away = call()
            wrong.wait(RING, away)
            proxy.close_door()
            wrong.wait("disconnected")
            alice.client.cancel(away).result(BOUND_S)
            proxy.open_door()
            wrong.wait(ENDED, away)
            right.heard.wait(ENDED, invite_id=away)
            assert {iid: wrong.names(iid) for iid in calls} == {iid: right.heard.names(iid) for iid in calls}
            wrong.tell("since")
            since = wrong.wait("since")

        missed = call()
        alice.client.cancel(missed).result(BOUND_S)
        ringing = call()
        ring.advance(10_000)
        with StrangeDevice(proxy.url, "bob", "wrong", *clock, since=since) as wrong:
            assert wrong.wait(RING, ringing) == 20.0
            wrong.wait("connected")
            assert wrong.names(missed) == ["invitation_missed"]


def test_the_client_never_looks_at_a_wall_clock() -> None:
    """Of `time` it uses the monotonic clock alone, and nothing of `datetime`."""
    files = sorted(Path(str(ringline.__file__)).parent.rglob("*.py"))
    looks = [look for file in files for look in _looks_at_clocks(file)]
    assert looks
    assert {what for _, what in looks} == {"time.monotonic"}, looks


def _looks_at_clocks(file: Path) -> list[tuple[str, str]]:
    looks: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="time" | "datetime" as module), attr=name):
                looks.append((file.name, f"{module}.{name}"))
            case ast.ImportFrom(module="time" | "datetime" as module):
                looks += [(file.name, f"{module}.{alias.name}") for alias in node.names]
            case ast.Import() if any(alias.name == "time" and alias.asname for alias in node.names):
                looks.append((file.name, ast.unparse(node)))
            case _:
                pass
    return looks
