"""Who logs in and where: --url, --as, RINGLINE_URL and RINGLINE_PASSWORD; and what stands in for a broker."""

import getpass
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringline.client import SignalingClient
from ringline.connection import Address
from ringline.listener import SignalingListener
from ringline_broker.authority import Authority
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.session import ClientOptions, Forwarder, new_client, password_of
from tests.cli.process import Finished, Ringline, assert_clean_error
from tests.support.running import free_port


def user_of(url: str = "", as_: str = "") -> str:
    return new_client(ClientOptions(url=url, as_=as_), Forwarder(lambda _name, _event: None)).user


def test_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_of(as_="alice") == "alice"
    assert user_of("mqtt://bob@127.0.0.1") == "bob"
    assert user_of("mqtts://b%20b@example.org:1/") == "b b"
    assert user_of("ws://bob@example.org:1/mqtt") == "bob"
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
        ("mqtt://127.0.0.1/foo", "alice", "a broker's URL ends with its port"),
        ("mqtts://bob@127.0.0.1:8883?x=secret", "", "a broker's URL ends with its port"),
        ("ws://bob@127.0.0.1/mqtt?x=secret", "", "and where it is ws or wss with a path"),
        ("mqtt://bob:word#secret@127.0.0.1", "", "in a name or a password write / . # as %2F %3F %23"),
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


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a device of zoe's."""
    return Authority.create(tmp_path / "certs", ["localhost"], datetime.now(UTC)).issue_device("zoe", datetime.now(UTC))


def test_a_certificate_says_who_logs_in_where_nobody_else_does(certificate: Path) -> None:
    def client(url: str, as_: str = "") -> SignalingClient:
        return new_client(ClientOptions(url=url, as_=as_, cert=certificate), Forwarder(lambda _name, _event: None))

    assert client("mqtts://example.org").user == "zoe"
    assert client("wss://example.org").user == "zoe"
    assert client("mqtts://bob@example.org").user == "bob"
    assert client("mqtts://localhost", "alice").user == "alice"


def test_with_a_certificate_no_password_is_sent_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def password(url: str) -> str | None:
        return password_of(ClientOptions(cert=Path("cert.pem")), Address.parse(url), "bob")

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert password("mqtts://bob@h") is None
    monkeypatch.setenv("RINGLINE_PASSWORD", "is for others")
    assert password("mqtts://bob@h") is None
    assert password("mqtts://bob:both@h") == "both"


def test_a_key_of_its_own(certificate: Path, tmp_path: Path) -> None:
    text = certificate.read_text()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(text[: text.index("-----BEGIN PRIVATE")])
    key.write_text(text[text.index("-----BEGIN PRIVATE") :])
    options = ClientOptions(url="mqtts://example.org", cert=cert, key_=key)

    assert new_client(options, Forwarder(lambda _name, _event: None)).user == "zoe"
    done = Finished("listen", "--url", "mqtts://example.org", "--cert", str(cert))
    assert done.code == 2
    assert f"cannot use --cert {cert}, a certificate and its unencrypted key" in done.err[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--url", "mqtt://alice@127.0.0.1", "--cert", "a.pem"), "--cert is for connections over TLS: use --url mqtts://"),
        (("--url", "ws://alice@127.0.0.1", "--cert", "a.pem"), "--cert is for connections over TLS: use --url mqtts://"),
        (("--url", "ws://alice@127.0.0.1", "--cafile", "a.pem"), "--cafile is for connections over TLS: use --url"),
        (("--url", "mqtts://alice@127.0.0.1", "--key", "a.key"), "give --cert too"),
        (("--url", "mqtts://alice@127.0.0.1", "--cert", "gone.pem"), "cannot use --cert gone.pem"),
        (("--url", "mqtts://127.0.0.1", "--cert", "gone.pem"), "--cert: cannot read gone.pem"),
    ],
)
def test_certificates_that_are_none_or_are_for_nothing(arguments: tuple[str, ...], says: str) -> None:
    done = Finished("listen", *arguments)

    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]


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
        mute.settimeout(20)
        done = Ringline("show", "some-id", "--as", "alice", "--url", url, "--connect-timeout", "0.2")
        connection, _ = mute.accept()
        begun = time.monotonic()  # Python may be slow to start

        with connection:
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
