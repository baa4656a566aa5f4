"""`ringline cert`, and a server and devices that use what it makes."""

import json
import os
import pty
import re
import shlex
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringline_broker.authority import Authority
from tests.cli.conftest import Start, url_of
from tests.cli.process import Finished, Ringline, assert_clean_error

DAY = timedelta(days=1)
HOSTS = ["localhost", "127.0.0.1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An authority with a server of this machine, and a certificate for alice and for bob."""
    folder = tmp_path / "certs"
    assert Finished("cert", "init", "--host", "localhost", "--host", "127.0.0.1", "--dir", str(folder)).code == 0
    for user in ("alice", "bob"):
        assert Finished("cert", "device", user, "--dir", str(folder)).code == 0
    return folder


def flags(folder: Path) -> list[str]:
    """Of `serve`, for certificates alone."""
    return [
        "--memory", "--tls-port", "0",
        "--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key"),
        "--client-ca", str(folder / "authority.pem"), "--client-crl", str(folder / "revoked.pem"),
    ]  # fmt: skip


@pytest.fixture
def server(start: Start, folder: Path) -> Ringline:
    """A server that only certificates log in to."""
    server = start("serve", "--json", *flags(folder))
    server.event("listening")
    return server


@pytest.fixture
def login(server: Ringline, folder: Path) -> Callable[[str], list[str]]:
    """The options that log in with a user's certificate, or with that of a file."""

    def words(user: str) -> list[str]:
        file = user if user.endswith(".pem") else str(folder / "devices" / f"{user}.pem")
        return ["--url", url_of(server), "--cafile", str(folder / "authority.pem"), "--cert", file]

    return words


Login = Callable[[str], list[str]]


def listening(start: Start, words: list[str]) -> Ringline:
    ear = start("listen", "--json", "--answer", "accept", *words)
    ear.event("connected")
    return ear


def reload(server: Ringline) -> str:
    """SIGHUP; what the server says to it."""
    before = len(server.err)
    server.signal(signal.SIGHUP)
    server.err_line("reloaded")
    return str(json.loads(server.err[before:][-1])["message"])


def served(server: Ringline, folder: Path) -> dict[str, object]:
    """The certificate that the server shows just now."""
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    address = url_of(server).removeprefix("mqtts://").split(":")
    with (
        socket.create_connection((address[0], int(address[1])), 10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as shown,
    ):
        return dict(shown.getpeercert() or {})


# Devices.


def test_a_device_with_a_certificate_rings_another(start: Start, server: Ringline, login: Login) -> None:
    ear = listening(start, login("alice"))

    assert Finished("invite", "alice", "--wait", *login("bob")).code == 0
    assert ear.event("receive_new_invitation")["inviter"] == "bob"
    assert list(server.event("listening")["ports"]) == ["tls_port"]


def test_a_certificate_is_one_users_alone(server: Ringline, login: Login) -> None:
    words = login("alice")
    words[1] = url_of(server).replace("://", "://bob@")

    assert Finished("invite", "alice", *words).code == 4


def refused(words: list[str]) -> Ringline:
    """Who is refused in the handshake hears of it only as the end of the connection."""
    done = Ringline("invite", "bob", "--connect-timeout", "3", *words)
    assert done.end() in (4, 5)
    assert_clean_error(done)
    return done


def test_who_has_no_certificate(server: Ringline, folder: Path) -> None:
    url = url_of(server).replace("://", "://alice@")

    done = refused(["--url", url, "--cafile", str(folder / "authority.pem")])

    assert "--cert" in done.err[1]
    assert "alice" not in "".join(server.err)
    server.err_line("did not return a certificate")


def test_a_strangers_certificate(server: Ringline, login: Login, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "stranger", HOSTS, datetime.now(UTC))

    refused(login(str(stranger.issue_device("alice", datetime.now(UTC)))))

    server.err_line("certificate verify failed")


def test_a_certificate_that_is_over(server: Ringline, login: Login, folder: Path, tmp_path: Path) -> None:
    old = Authority(folder).issue_device("alice", datetime.now(UTC) - 900 * DAY, tmp_path / "old.pem")

    refused(login(str(old)))

    server.err_line("certificate has expired")


def test_the_servers_own_certificate_logs_nobody_in(server: Ringline, login: Login, folder: Path) -> None:
    refused([*login(str(folder / "server.pem")), "--key", str(folder / "server.key")])

    server.err_line("unsuitable certificate purpose")


# SIGHUP.


def test_who_is_revoked_is_cut_off_and_nobody_else(
    start: Start, server: Ringline, login: Login, folder: Path, tmp_path: Path
) -> None:
    phone = tmp_path / "phone.pem"
    phone.write_bytes((folder / "devices" / "alice.pem").read_bytes())
    alice, bob = listening(start, login(str(phone))), listening(start, login("bob"))
    assert Finished("cert", "revoke", "alice", "--dir", str(folder)).code == 0
    assert Finished("invite", "alice", "--wait", *login("bob")).code == 0, "the server does not know of it yet"

    said = reload(server)

    assert said.startswith("reloaded: ")
    assert str(folder / "revoked.pem") in said
    alice.event("disconnected")
    refused(login(str(phone)))
    assert Finished("cert", "device", "alice", "--dir", str(folder)).code == 0
    assert Finished("invite", "bob", "--wait", *login("alice")).code == 0, "with another certificate"
    assert [event["event"] for event in bob.events if event["event"] in ("connected", "disconnected")] == ["connected"]
    assert [event["event"] for event in alice.events].count("connected") == 1


def test_a_renewed_certificate_is_served_and_nobody_dropped(
    start: Start, server: Ringline, login: Login, folder: Path
) -> None:
    bob = listening(start, login("bob"))
    before = served(server, folder)
    hosts = [word for host in (*HOSTS, "bell") for word in ("--host", host)]
    assert Finished("cert", "server", *hosts, "--dir", str(folder)).code == 0
    assert served(server, folder) == before

    reload(server)

    after = served(server, folder)
    assert after["serialNumber"] != before["serialNumber"]
    assert ("DNS", "bell") in after["subjectAltName"]  # type: ignore[operator] # pyright: ignore[reportOperatorIssue]
    assert Finished("invite", "bob", "--wait", *login("alice")).code == 0
    assert [event["event"] for event in bob.events if event["event"] in ("connected", "disconnected")] == ["connected"]


@pytest.mark.parametrize("name", ["revoked.pem", "authority.pem", "server.pem", "server.key"])
def test_what_cannot_be_read_changes_nothing(server: Ringline, login: Login, folder: Path, name: str) -> None:
    before, words = served(server, folder), login("alice")
    words[3] = str(folder / "trusted.pem")
    (folder / "trusted.pem").write_bytes((folder / "authority.pem").read_bytes())
    (folder / name).write_text("hello")

    said = reload(server)

    assert said.startswith("not reloaded, all stays as it was: ")
    assert name in said
    assert Finished("invite", "bob", *words).code == 0
    (folder / "authority.pem").write_bytes((folder / "trusted.pem").read_bytes())
    assert served(server, folder) == before


def in_a_terminal(*arguments: str) -> tuple[int, int]:
    """Start the command in a terminal of its own, until it waits for Ctrl-C; the process and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "ringline", *arguments]
        os.execv(words[0], words)  # noqa: S606 - no shell is wanted
    read_until(terminal, b"Ctrl-C ends it")
    return pid, terminal


def read_until(terminal: int, wanted: bytes) -> None:
    shown = b""
    while wanted not in shown:
        shown += os.read(terminal, 1024)


def test_sighup_is_the_end_only_if_the_terminal_went(tmp_path: Path) -> None:
    pid, terminal = in_a_terminal("serve", "--port", "0", "--data", str(tmp_path / "data"))
    os.kill(pid, signal.SIGHUP)
    read_until(terminal, b"nothing to reload")

    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# Certificates and passwords.


def test_certificates_beside_passwords(
    start: Start, folder: Path, users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGLINE_PASSWORD", "correct horse")
    assert Finished("user", "add", "carol", "--users", str(users_file)).code == 0
    server = start("serve", "--json", "--port", "0", "--users", str(users_file), *flags(folder))
    plain, tls = server.event("listening")["urls"]
    trust = ["--cafile", str(folder / "authority.pem")]
    alice = listening(start, ["--url", tls, *trust, "--cert", str(folder / "devices" / "alice.pem")])

    for url, words in ((plain, []), (tls, trust)):
        assert Finished("invite", "alice", "--wait", "--url", url.replace("://", "://carol@"), *words).code == 0
        monkeypatch.setenv("RINGLINE_PASSWORD", "wrong horse")
        for user in ("alice", "carol"):
            assert Finished("invite", "bob", "--url", url.replace("://", f"://{user}@"), *words).code == 4
        monkeypatch.setenv("RINGLINE_PASSWORD", "correct horse")
    assert [event["inviter"] for event in alice.events if event["event"] == "receive_new_invitation"] == ["carol"] * 2


# What is printed can be pasted.


def pasted(words: list[str]) -> list[str]:
    """The arguments of a line that was printed."""
    return words[next(at for at, word in enumerate(words) if word in ("listen", "invite", "cert", "serve")) :]


def test_from_nothing_to_a_call_by_what_is_printed(start: Start, tmp_path: Path) -> None:
    made = start("cert", "init", "--host", "localhost", "--dir", "my certs", cwd=tmp_path)
    assert made.end() == 0
    device, serve = (pasted(shlex.split(line)) for line in made.out if line.startswith("  "))
    for name in ("alice", "b'ob ü"):
        assert start(*[name if word == "alice" else word for word in device], cwd=tmp_path).end() == 0
    server = start(*serve, "--memory", "--tls-port", "0", "--host", "127.0.0.1", cwd=tmp_path)
    server.line("Ctrl-C ends it")

    assert server.out[1] == "devices with a certificate of my certs/authority.pem may log in, as the user it names"
    listen, invite = (pasted(shlex.split(line)) for line in server.out if line.startswith("  "))
    ear = start(*listen, cwd=tmp_path)
    ear.line("connected as alice")
    assert start(*invite, cwd=tmp_path).end() == 0
    ear.line("b'ob ü")


def test_a_server_that_nobody_has_a_certificate_for_says_how_to_make_one(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    Authority.create(folder, HOSTS, datetime.now(UTC))
    server = start("serve", *flags(folder))
    server.line("Ctrl-C ends it")

    assert server.out[2].startswith("make one with: ")
    assert server.out[2].endswith(f"cert device NAME --dir {folder}")
    assert start(*pasted(shlex.split(server.out[2].replace("NAME", "alice")))).end() == 0
    assert not any(line.startswith("  ") for line in server.out)


# Options.


def test_the_server_of_other_machines_is_to_listen_everywhere(tmp_path: Path) -> None:
    made = Finished("cert", "init", "--host", "bell.example.org", "--dir", str(tmp_path / "certs"))

    assert "serve --host 0.0.0.0 " in made.out[-1]


def test_a_device_may_have_its_file_elsewhere(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "usb stick" / "phone.pem"

    made = Finished("cert", "device", "alice", "--dir", str(folder), "--out", str(place))

    assert made.code == 0
    assert str(place) in made.out[0]
    assert "authority.pem" in made.out[1]
    assert "PRIVATE KEY" in place.read_text()


def test_the_list(folder: Path) -> None:
    assert Finished("cert", "revoke", "bob", "--dir", str(folder)).code == 0

    done = Finished("cert", "list", "--dir", str(folder), "--json")

    assert done.err == []
    found = {(event["kind"], event["name"]): event for event in done.events}
    assert list(found) == [("authority", ""), ("server", "localhost,127.0.0.1"), ("device", "alice"), ("device", "bob")]
    assert [event["revoked"] for event in found.values()] == [False, False, False, True]
    assert all(re.fullmatch("[0-9a-f]{20,40}", event["serial"]) for event in found.values())
    until = datetime.fromisoformat(found["device", "alice"]["until"])
    assert abs(until - datetime.now(UTC) - 825 * DAY) < DAY
    text = Finished("cert", "list", "--dir", str(folder)).out
    assert [line.split()[-1] for line in text] == ["valid", "valid", "valid", "revoked"]


def test_one_certificate_of_two_is_revoked(folder: Path, tmp_path: Path) -> None:
    at = ("--dir", str(folder))
    assert Finished("cert", "device", "alice", *at, "--out", str(tmp_path / "phone.pem")).code == 0
    serials = [one["serial"] for one in Finished("cert", "list", *at, "--json").events if one["name"] == "alice"]
    assert len(serials) == 2

    done = Finished("cert", "revoke", "alice", "--serial", serials[1], *at)

    assert done.out[0] == f"revoked {serials[1]} of alice"
    assert [one["serial"] for one in Finished("cert", "list", *at, "--json").events if one["revoked"]] == [serials[1]]
    assert Finished("cert", "revoke", "alice", "--serial", serials[1], *at).out == ["revoked before: alice"]


def test_the_list_warns_of_what_ends_soon(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = Authority.create(tmp_path / "certs", ["localhost"], now - 800 * DAY)
    authority.issue_device("soon", now - 800 * DAY)
    authority.issue_device("over", now - 900 * DAY)
    authority.issue_device("gone", now - 800 * DAY)
    authority.issue_device("late", now - 700 * DAY)
    authority.revoke("gone", now)

    done = Finished("cert", "list", "--dir", str(authority.folder))

    assert done.code == 0
    assert [line.split("; renew")[0] for line in done.err] == [
        "within 30 days expires: server localhost", "within 30 days expires: device soon",
    ]  # fmt: skip
    assert done.err[0].endswith(f"cert server --dir {authority.folder}")
    assert [line.split()[-1] for line in done.out] == ["valid", "valid", "revoked", "valid", "expired", "valid"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("init", "--host", "localhost"), 1, "authority.key exists, and nothing is overwritten"),
        (("init",), 2, "Missing option '--host'"),
        (("device", "alice"), 1, "alice.pem exists, and nothing is overwritten"),
        (("device", "a/b"), 2, "NAME must not contain"),
        (("device", "carol", "--out", "/proc/no"), 1, "cannot write /proc/no"),
        (("server", "--host", "mqtts://bell"), 1, "'mqtts://bell' is no host"),
        (("revoke", "carol"), 1, "no certificate of user carol was issued"),
        (("revoke", "alice", "--serial", "beef"), 1, "no certificate beef of user alice"),
        (("revoke", "alice", "--serial", "xyz"), 2, "--serial xyz is no serial number"),
    ],
)
def test_what_cannot_be_done(folder: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = Finished("cert", *arguments, "--dir", str(folder))

    assert done.code == code
    assert_clean_error(done)
    assert says in done.err[0]


@pytest.mark.parametrize("arguments", [("device", "alice"), ("server",), ("revoke", "alice"), ("list",)])
def test_where_there_is_no_authority(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = Finished("cert", *arguments, "--dir", str(tmp_path / "none"))

    assert done.code == 1
    assert_clean_error(done)
    assert not (tmp_path / "none").exists()
