"""Who logs in and where: --url, --as, RINGLINE_URL and RINGLINE_PASSWORD; and what stands in for a broker."""

import getpass
import socket
import sys
import time

import pytest

from ringline.connection import Address
from ringline.listener import SignalingListener
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.session import ClientOptions, Forwarder, new_client, password_of
from tests.cli.process import Finished, Ringline, assert_clean_error
from tests.support.running import free_port


def user_of(url: str = "", as_: str = "") -> str:
    return new_client(ClientOptions(url=url, as_=as_), Forwarder(lambda _name, _event: None)).user


def test_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_of(as_="alice") == "alice"
    assert user_of("mqtt://bob@127.0.0.1") == "bob"
    assert user_of("mqtts://b%20b@example.org:1") == "b b"
    monkeypatch.setenv("RINGLINE_URL", "mqtt://carol@127.0.0.1")
    assert user_of() == "carol"
    assert user_of(as_="dave") == "dave"
    assert user_of("mqtt://bob@127.0.0.1") == "bob"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9:1884", "[::1]:1883"])
def test_any_name_on_this_machine(host: str) -> None:
    assert user_of(f"mqtt://{host}", "alice") == "alice"


@pytest.mark.parametrize(
    ("url", "as_", "says"),
    [
        ("mqtt://example.org", "alice", "use --url mqtt://USER@HOST:PORT"),
        ("mqtt://127.0.0.1.example.org", "alice", "use --url"),
        ("mqtt://bob:secret@127.0.0.1", "alice", "use --url"),
        ("", "", "say who logs in: --as NAME"),
        ("mqtt://127.0.0.1", "", "say who logs in"),
        ("http://127.0.0.1", "alice", "not a broker's URL"),
        ("mqtt://127.0.0.1:port", "alice", "port"),
        ("", "a/b", "user must not contain"),
    ],
)
def test_who_cannot_log_in(url: str, as_: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as failed:
        user_of(url, as_)
    assert failed.value.code == ExitCode.WRONG_USE
    assert "secret" not in str(failed.value)


def test_a_file_of_authorities_that_is_none() -> None:
    done = Finished("listen", "--url", "mqtts://alice@127.0.0.1", "--cafile", "gone.pem")

    assert done.code == 2
    assert_clean_error(done)
    assert "--cafile gone.pem" in done.err[0]


def test_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(prompt: str) -> str:
        assert prompt == "Password of bob: "
        return "typed"

    def password(url: str, as_: str = "") -> str | None:
        return password_of(ClientOptions(as_=as_), Address.parse(url), "bob")

    monkeypatch.setattr(getpass, "getpass", asked)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert password("mqtt://bob@h") is None
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert password("mqtt://bob@h") == "typed"
    assert password("mqtt://h", "bob") is None
    assert password("mqtt://bob:given@h") == "given"
    monkeypatch.setenv("RINGLINE_PASSWORD", "from outside")
    assert password("mqtt://bob@h") == "from outside"
    assert password("mqtt://h", "bob") == "from outside"
    assert password("mqtt://bob:given@h") == "given"


@pytest.mark.parametrize("command", [("invite", "bob", "--wait"), ("show", "some-id")])
def test_no_broker(command: tuple[str, ...]) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"

    done = Ringline(*command, "--as", "alice", "--url", url, "--connect-timeout", "0.2")

    assert done.end() == 5
    assert_clean_error(done)
    assert f"cannot reach {url.removeprefix('mqtt://')}" in done.err[0]
    assert "ringline serve" in done.err[1]
    assert done.out == []


def test_a_broker_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"mqtt://127.0.0.1:{mute.getsockname()[1]}"
        begun = time.monotonic()

        done = Ringline("show", "some-id", "--as", "alice", "--url", url, "--connect-timeout", "0.2")

        assert done.end() == 5
        assert_clean_error(done)
        assert "does not answer" in done.err[0]
        assert time.monotonic() - begun < 8, "it waits for the network to end"


def test_ctrl_c_while_it_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"mqtt://127.0.0.1:{mute.getsockname()[1]}"
        done = Ringline("invite", "bob", "--as", "alice", "--url", url, "--connect-timeout", "60")
        mute.settimeout(20)
        connection, _ = mute.accept()
        with connection:
            connection.recv(1)
            assert done.interrupt() == 130
        assert done.err == []


def test_a_forwarder_hears_every_callback() -> None:
    heard: list[tuple[str, object]] = []
    forwarder = Forwarder(lambda name, event: heard.append((name, event)))
    names = [name for name in vars(SignalingListener) if name.startswith("on_")]

    for name in names:
        getattr(forwarder, name)(name)

    assert [f"on_{name}" for name, _ in heard] == names == [event for _, event in heard]
