"""Devices of the examples on a real server, and programs of the examples as processes."""

import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from examples.call import Phone
from examples.classroom import Student, Teacher
from examples.doorbell import Doorbell, HousePhone
from examples.group_call import GroupPhone
from examples.live_room import Host, Listener
from examples.stage import Stage
from ringline import SignalingClient, SignalingListener
from tests.support.bound import BOUND_S

ROOT = Path(__file__).resolve().parents[2]


class Cast:
    """Makes devices that show what they show on a stage; closes them all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stage = Stage(patience=BOUND_S)
        self.expect = self.stage.expect
        self.now = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect everybody: all that was to be heard has been heard then."""
        self._open.close()

    def client(
        self, user: str, listener: SignalingListener | None = None, *, since: int | None = None, url: str | None = None
    ) -> SignalingClient:
        """One that is not connected yet."""
        client = SignalingClient(url or self.url, user=user, listener=listener, since=since)
        self._open.callback(client.close)
        return client

    def connect(self, client: SignalingClient) -> None:
        client.connect()
        assert client.wait_connected(BOUND_S), f"{client.user} cannot connect"

    def new_phone(self, client: SignalingClient, name: str | None = None) -> Phone:
        """A phone on a client that is not connected yet."""
        return Phone(client, self.stage.actor(name or client.user), clock=lambda: self.now)

    def phone(self, user: str, name: str | None = None) -> Phone:
        client = self.client(user)
        phone = self.new_phone(client, name)
        self.connect(client)
        return phone

    def new_house_phone(self, client: SignalingClient, name: str | None = None) -> HousePhone:
        """Likewise."""
        return HousePhone(client, self.stage.actor(name or client.user))

    def house_phone(self, user: str, name: str | None = None) -> HousePhone:
        client = self.client(user)
        phone = self.new_house_phone(client, name)
        self.connect(client)
        return phone

    def new_doorbell(self, client: SignalingClient, *household: str) -> Doorbell:
        """Likewise."""
        return Doorbell(client, household, self.stage.actor(client.user))

    def doorbell(self, user: str, *household: str) -> Doorbell:
        client = self.client(user)
        doorbell = self.new_doorbell(client, *household)
        self.connect(client)
        return doorbell

    def teacher(self, user: str, class_id: str = "class") -> Teacher:
        client = self.client(user)
        teacher = Teacher(client, class_id, self.stage.actor(user))
        self.connect(client)
        return teacher

    def student(self, user: str, name: str | None = None) -> Student:
        client = self.client(user)
        student = Student(client, self.stage.actor(name or user))
        self.connect(client)
        return student

    def host(self, user: str, name: str | None = None, seats: int = 2) -> Host:
        client = self.client(user)
        host = Host(client, "room", self.stage.actor(name or user), seats)
        self.connect(client)
        return host

    def listener(self, user: str, name: str | None = None) -> Listener:
        client = self.client(user)
        listener = Listener(client, "room", self.stage.actor(name or user))
        self.connect(client)
        return listener

    def group_phone(self, user: str, name: str | None = None) -> GroupPhone:
        client = self.client(user)
        phone = GroupPhone(client, "friends", self.stage.actor(name or user))
        self.connect(client)
        return phone

    def expect_of(self, names: Sequence[str], text: str) -> None:
        """Each of them shows this next."""
        for name in names:
            self.expect(name, text)

    def in_call(self, caller: Phone, callee: Phone, names: tuple[str, str], room: str) -> None:
        """Bring two phones into a room."""
        one, other = names
        caller.dial(other, room)
        self.expect(one, f"dials {other}, room {room}", f"hears it ring at {other}'s")
        self.expect(other, f"rings: {one} calls")
        callee.accept()
        self.expect(one, f"enters room {room} with {other}")
        self.expect(other, f"enters room {room} with {one}")


class Program:
    """An example run as its docstring says, in a process of its own."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._reader.join(BOUND_S)
        self.process.__exit__(None, None, None)

    def expect(self, *lines: str) -> None:
        """Wait for these lines, the next it prints; as regular expressions."""
        for line in lines:
            printed = self._lines.get(timeout=BOUND_S)
            assert re.fullmatch(line, printed), f"should have printed: {line}; but printed: {printed}"

    def type(self, key: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{key}\n")
        self.process.stdin.flush()

    def ends_with(self, code: int) -> None:
        """Wait for its end; it prints nothing more."""
        assert self.process.wait(BOUND_S) == code
        self._reader.join(BOUND_S)
        assert self._lines.empty(), self._lines.get()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run an example to its end."""
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
