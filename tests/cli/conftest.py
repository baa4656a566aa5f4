"""A server, and processes that end with their test."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.cli.process import Finished, Ringline

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the environment of whoever runs the tests."""
    monkeypatch.delenv("RINGLINE_URL", raising=False)
    monkeypatch.delenv("RINGLINE_PASSWORD", raising=False)


class Start(Protocol):
    """Starts a command that ends with the test."""

    def __call__(self, *arguments: str, **more: Any) -> Ringline: ...


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[Ringline] = []

    def begin(*arguments: str, **more: Any) -> Ringline:
        processes.append(Ringline(*arguments, **more))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A server that all tests of this worker share; each takes users of its own."""
    server = Ringline("serve", "--port", "0", "--memory", "--json")
    yield str(server.event("listening")["urls"][0])
    server.signal(signal.SIGTERM)
    assert server.end() == 0


@pytest.fixture
def name() -> Callable[[str], str]:
    """Makes names that no other test has."""
    number = next(_numbers)
    return lambda word: f"{word}-{number}-{os.getpid()}"


class Client(Protocol):
    """Starts a client command as a user of the shared server."""

    def __call__(self, user: str, *arguments: str, **more: Any) -> Ringline: ...


@pytest.fixture
def client(start: Start, url: str) -> Client:
    def begin(user: str, *arguments: str, **more: Any) -> Ringline:
        return start(arguments[0], "--as", user, "--url", url, *arguments[1:], **more)

    return begin


class Run(Protocol):
    """Runs a client command to its end in this process, as a user of the shared server."""

    def __call__(self, user: str, *arguments: str) -> Finished: ...


@pytest.fixture
def run(url: str) -> Run:
    def to_its_end(user: str, *arguments: str) -> Finished:
        return Finished(arguments[0], "--as", user, "--url", url, *arguments[1:])

    return to_its_end


class Listen(Protocol):
    """Starts `listen --json` as a user of the shared server, and waits until it is connected."""

    def __call__(self, user: str, *arguments: str) -> Ringline: ...


@pytest.fixture
def listen(client: Client) -> Listen:
    def begin(user: str, *arguments: str) -> Ringline:
        ear = client(user, "listen", "--json", *arguments)
        ear.event("connected")
        return ear

    return begin


@pytest.fixture
def serve(start: Start) -> Start:
    """Starts a server of one's own on a free port, with JSON lines, and waits until it listens."""

    def begin(*arguments: str, **more: Any) -> Ringline:
        server = start("serve", "--port", "0", "--json", *arguments, **more)
        server.event("listening")
        return server

    return begin


def url_of(server: Ringline, number: int = 0) -> str:
    return str(server.event("listening")["urls"][number])


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    return tmp_path / "users"
