"""`ringline user`, and a server that reads the file."""

import fcntl
import os
import pty
import signal
import stat
import sys
from pathlib import Path

import pytest

from ringline_broker.bindings.amqtt.users import UsersFile, new_hasher
from tests.cli.conftest import Start, url_of
from tests.cli.process import Finished, Ringline, assert_clean_error

PASSWORD = "correct horse"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGLINE_PASSWORD", PASSWORD)


@pytest.mark.usefixtures("known")
def test_add_list_remove(users_file: Path) -> None:
    users = ("--users", str(users_file))

    assert Finished("user", "list", *users).out == []
    assert Finished("user", "add", "bob", *users).out == ["added bob"]
    assert Finished("user", "add", "alice", *users).out == ["added alice"]
    assert Finished("user", "add", "bob", *users).out == ["changed bob"]
    assert Finished("user", "list", *users).out == ["alice", "bob"]
    assert Finished("user", "list", *users, "--json").events == [{"user": "alice"}, {"user": "bob"}]
    assert Finished("user", "remove", "alice", *users).out == ["removed alice"]
    assert Finished("user", "list", *users).out == ["bob"]
    assert PASSWORD not in users_file.read_text()
    assert stat.S_IMODE(users_file.stat().st_mode) == 0o600


def test_remove_nobody(users_file: Path) -> None:
    done = Finished("user", "remove", "alice", "--users", str(users_file))

    assert done.code == 1
    assert_clean_error(done)
    assert "there is no user alice" in done.err[0]


def test_the_password_from_the_input(users_file: Path) -> None:
    done = Ringline("user", "add", "alice", "--users", str(users_file), stdin=f"{PASSWORD}\n")

    assert done.end() == 0
    assert _is_right(users_file, "alice", PASSWORD)


def test_the_password_from_a_terminal_is_hidden_and_asked_twice(users_file: Path) -> None:
    assert _typed(users_file, PASSWORD, PASSWORD) == 0
    assert _is_right(users_file, "alice", PASSWORD)


def test_two_different_passwords(users_file: Path) -> None:
    assert _typed(users_file, PASSWORD, "something else") == 2
    assert not users_file.exists()


def _typed(users_file: Path, first: str, second: str) -> int:
    """Add alice from a terminal of one's own; the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("RINGLINE_PASSWORD", None)
        words = [sys.executable, "-m", "ringline", "user", "add", "alice", "--users", str(users_file)]
        os.execv(words[0], words)  # noqa: S606 - no shell is wanted
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as end:
        for prompt, answer in ((b"Password of alice: ", first), (b"Again: ", second)):
            while not shown.endswith(prompt):
                shown += end.read(1024)
            end.write(answer.encode() + b"\n")
        try:
            while more := end.read(1024):
                shown += more
        except OSError:  # how a terminal says that nobody is there any more
            pass
    assert first.encode() not in shown
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("alice", "short", "at least 8 characters"),
        ("alice", "", "at least 8 characters"),
        ("alice", "x" * 1_025, "at most 1024 bytes"),
        ("a/b", PASSWORD, "NAME must not contain"),
    ],
)
def test_what_no_user_can_have(
    users_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, password: str, says: str
) -> None:
    monkeypatch.setenv("RINGLINE_PASSWORD", password)

    done = Finished("user", "add", name, "--users", str(users_file))

    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]
    assert not users_file.exists()


@pytest.mark.usefixtures("known")
def test_two_at_once_lose_nobody(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one waits for its turn, the other adds a user."""
    lock, hashed = fcntl.flock, new_hasher().hash(PASSWORD)

    def after_the_other(folder: int, operation: int) -> None:
        UsersFile(users_file).write({"bob": hashed})
        lock(folder, operation)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", after_the_other)
        assert Finished("user", "add", "alice", "--users", str(users_file)).code == 0

    assert sorted(UsersFile(users_file).read()) == ["alice", "bob"]


def test_a_broken_file(users_file: Path) -> None:
    users_file.write_text("what is this\n")

    for arguments in (("user", "list"), ("serve", "--memory", "--port", "0")):
        done = Ringline(*arguments, "--users", str(users_file))
        assert done.end() == 1
        assert_clean_error(done)
        assert f"{users_file}, line 1" in done.err[0]


@pytest.mark.usefixtures("known")
def test_logging_in(serve: Start, users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong, changed and removed, while the server runs."""
    users = ("--users", str(users_file))
    server = serve("--memory", *users)
    url = url_of(server).replace("://", "://alice@")

    def call() -> Finished:
        return Finished("invite", "bob", "--url", url)

    assert call().code == 4
    assert Finished("user", "add", "alice", *users).code == 0
    assert call().code == 0
    monkeypatch.setenv("RINGLINE_PASSWORD", "wrong horse")
    wrong = call()
    assert wrong.code == 4
    assert_clean_error(wrong)
    assert "the broker refused the login" in wrong.err[0]
    assert "RINGLINE_PASSWORD" in wrong.err[1]
    assert Finished("user", "add", "alice", *users).code == 0
    assert call().code == 0
    assert Finished("user", "remove", "alice", *users).code == 0
    assert call().code == 4
    server.signal(signal.SIGTERM)
    assert server.end() == 0


@pytest.mark.usefixtures("known")
def test_the_password_may_be_in_the_url(serve: Start, users_file: Path) -> None:
    assert Finished("user", "add", "alice", "--users", str(users_file)).code == 0
    server = serve("--memory", "--users", str(users_file))
    url = url_of(server).replace("://", "://alice:correct%20horse@")

    assert Finished("invite", "bob", "--url", url).code == 0


@pytest.mark.usefixtures("known")
def test_what_a_server_with_users_says(start: Start, users_file: Path) -> None:
    users = ("--users", str(users_file))
    for name in ("ann", "ben"):
        assert Finished("user", "add", name, *users).code == 0
    server = start("serve", "--port", "0", "--memory", *users)
    server.line("Ctrl-C")

    assert server.out[1] == f"2 users of {users_file} may log in"
    assert server.out[2] == "invitations are kept in memory only"
    assert "--url mqtt://ann@127.0.0.1:" in server.out[4]
    assert "invite ann --url mqtt://ben@127.0.0.1:" in server.out[5]


@pytest.mark.usefixtures("known")
def test_what_a_server_without_any_user_says(start: Start, users_file: Path) -> None:
    server = start("serve", "--port", "0", "--memory", "--users", str(users_file))
    server.line("Ctrl-C")

    assert server.out[1].startswith("nobody may log in yet: ")
    assert server.out[1].endswith(f"user add NAME --users {users_file}")


def _is_right(users_file: Path, user: str, password: str) -> bool:
    return new_hasher().verify(password, UsersFile(users_file).read()[user])
