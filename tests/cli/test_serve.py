"""`ringline serve`: it starts, says how to use it, keeps what it promised, and ends."""

import json
import re
import shlex
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringline_broker.authority import Authority
from tests.cli.conftest import Start, url_of
from tests.cli.process import Finished, Ringline, assert_clean_error
from tests.support.certificates import Certificates
from tests.support.mosquitto import find_mosquitto


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(serve: Start, start: Start, number: signal.Signals) -> None:
    server = serve("--memory")
    ear = start("listen", "--as", "bob", "--url", url_of(server), "--json")
    ear.event("connected")

    server.signal(number)

    assert server.end(5.0) == 0
    assert server.err == []
    ear.event("disconnected")


def test_it_says_in_json_that_it_listens(serve: Start) -> None:
    server = serve("--memory")

    line = server.event("listening")

    assert line["pid"] == server.pid
    assert line["urls"] == [f"mqtt://127.0.0.1:{line['ports']['port']}"]
    assert line["ports"]["port"] > 0


def test_what_it_prints_can_be_pasted(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--port", "0", cwd=tmp_path)
    server.line("Ctrl-C ends it")

    assert server.out[1] == "any name may log in, without a password: give --users FILE to change that"
    assert server.out[2] == "invitations are kept in ringline-data"
    assert (tmp_path / "ringline-data" / "ringline.sqlite").is_file()
    first, second = (shlex.split(line) for line in server.out if line.startswith("  "))
    assert first[-2:] == ["--answer", "accept"]
    assert second[-1] == "--wait"
    bob = _pasted(start, first, tmp_path)
    bob.line("connected as bob")
    assert _pasted(start, second, tmp_path).end() == 0


def _pasted(start: Start, words: list[str], folder: Path) -> Ringline:
    at = words.index("listen" if "listen" in words else "invite")
    return start(*words[at:], program=tuple(words[:at]), cwd=folder)


def test_lines_to_paste_are_as_short_as_they_can_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ringline_broker.cli.pasting import command

    installed = tmp_path / ".venv" / "bin" / "ringline"
    installed.parent.mkdir(parents=True)
    installed.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(installed)])
    assert command() == ".venv/bin/ringline"
    monkeypatch.setattr(sys, "argv", [".venv/bin/ringline"])
    assert command() == ".venv/bin/ringline"
    monkeypatch.setenv("PATH", str(installed.parent))
    monkeypatch.setattr(sys, "argv", [str(installed)])
    assert command() == "ringline"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PATH", "/nowhere")
    assert command() == str(installed)


def test_invitations_survive_a_restart(serve: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "some" / "where")
    server = serve("--data", data)
    alice = ("--as", "alice", "--url", url_of(server))
    assert Finished("invite", "bob", "--id", "call", "--timeout", "0", *alice).code == 0
    server.signal(signal.SIGKILL)
    server.end()

    again = serve("--data", data, "--durability", "normal")

    (state,) = Finished("show", "call", "--as", "alice", "--url", url_of(again), "--json").events
    assert (state["inviter"], state["outcome"]) == ("alice", None)


def test_memory_leaves_nothing(serve: Start, tmp_path: Path) -> None:
    serve("--memory", cwd=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_second_server_is_refused_by_name(serve: Start, start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    first = serve("--data", data)

    second = start("serve", "--port", "0", "--data", data)

    assert second.end() == 1
    assert_clean_error(second)
    assert f"process {first.pid}" in second.err[0]
    assert data in second.err[0]
    assert "--data" in second.err[0]
    assert second.out == []


@pytest.mark.parametrize("flag", ["--port", "--ws-port"])
def test_a_busy_port_is_named_with_its_flag(start: Start, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = str(busy.getsockname()[1])
        ports = {"--port": "0", flag: number}

        server = start("serve", "--memory", *(word for pair in ports.items() for word in pair))

        assert server.end() == 1
        assert_clean_error(server)
        assert server.err == [f"port {number} on 127.0.0.1 is in use by another program; choose another with {flag}"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104 - refused
def test_what_other_machines_could_reach_is_refused_as_it_is(host: str) -> None:
    refused = Finished("serve", "--host", host)

    assert refused.code == 2
    assert_clean_error(refused)
    assert f"--host {host} can be reached from other machines, which takes encryption" in refused.err[0]
    assert "ringline cert init" in refused.err[0]
    assert "--insecure" in refused.err[1]


def test_a_file_may_complete_what_flags_say(tmp_path: Path) -> None:
    """Options that go together need not stand in one place."""
    file = tmp_path / "ringline.toml"
    file.write_text('tls_cert = "gone.pem"\nclient_ca = "ca.pem"\nport = 0')

    done = Finished("serve", "--memory", "--config", str(file), "--tls-port", "0", "--client-crl", "x", "--users", "y")

    assert done.code == 2
    assert f"cannot read {tmp_path / 'gone.pem'}" in done.err[0]


def test_insecure_is_said_at_every_start(serve: Start) -> None:
    server = serve("--memory", "--insecure")

    assert json.loads(server.err_line("insecure"))["level"] == "warning"


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
def test_every_loopback_host_will_do(serve: Start, host: str) -> None:
    server = serve("--memory", "--host", host)

    assert Finished("invite", "bob", "--as", "alice", "--url", url_of(server)).code == 0


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Files: the server's certificate, its key, the authority."""
    folder = tmp_path_factory.mktemp("tls")
    made = Certificates(folder)
    made._authority.cert_pem.write_to_path(folder / "authority.pem")
    return str(made.certfile), str(made.keyfile), str(folder / "authority.pem")


def test_tls_and_websocket(serve: Start, certificates: tuple[str, str, str]) -> None:
    cert, key, authority = certificates
    server = serve("--memory", "--tls-cert", cert, "--tls-key", key,
                   "--tls-port", "0", "--ws-port", "0", "--wss-port", "0")  # fmt: skip
    urls = server.event("listening")["urls"]

    assert [url.partition(":")[0] for url in urls] == ["mqtt", "mqtts", "ws", "wss"]
    for url in urls:
        trust = ("--cafile", authority) if url.startswith(("mqtts", "wss")) else ()
        assert Finished("invite", "bob", "--as", "alice", "--url", url, *trust).code == 0, url


def test_a_certificate_opens_the_port_that_clients_expect(certificates: tuple[str, str, str]) -> None:
    from ringline_broker.cli.config import ServeOptions
    from ringline_broker.cli.exposure import ports_to_open
    from ringline_broker.cli.running import listeners_of

    cert, key, _ = map(Path, certificates)
    options = ServeOptions(tls_cert=cert, tls_key=key)

    listeners = listeners_of(options, ports_to_open(options))

    assert {name: (one.port, one.certfile) for name, one in listeners.items()} == {
        "default": (1883, None), "tls": (8883, cert),
    }  # fmt: skip


def test_clients_check_certificates(serve: Start, start: Start, certificates: tuple[str, str, str]) -> None:
    cert, key, _ = certificates
    server = serve("--memory", "--tls-cert", cert, "--tls-key", key, "--tls-port", "0")

    call = start("invite", "bob", "--as", "alice", "--url", url_of(server, 1), "--connect-timeout", "1")

    assert call.end() == 5
    assert_clean_error(call)
    assert "certificate verify failed" in call.err[0]


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"])
def test_a_certificate_that_has_expired_is_warned_of_at_the_start_and_at_sighup(
    start: Start, tmp_path: Path, broker: str
) -> None:
    if broker == "mosquitto":
        find_mosquitto()
    Authority.create(tmp_path / "certs", ["localhost"], datetime.now(UTC) - timedelta(days=4_000))
    cert, key = (str(tmp_path / "certs" / name) for name in ("server.pem", "server.key"))
    tls = ("--tls-cert", cert, "--tls-key", key, "--port", "0", "--tls-port", "0")
    server = start("serve", "--broker", broker, "--data", str(tmp_path / "data"), *tls)
    server.line("Ctrl-C ends it")
    warning = f"WARNING .*--tls-cert: {cert} expired on 20..-..-.., and clients refuse it: renew it, .*`ringline cert"
    server.err_line(warning)

    server.signal(signal.SIGHUP)

    server.err_line("reloaded: ")
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    assert len([line for line in server.err if re.search(warning, line)]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tls-key", "key.pem"), "TLS needs a certificate"),
        (("--tls-port", "8883"), "TLS needs a certificate"),
        (("--client-ca", "ca.pem"), "TLS needs a certificate"),
        (("--client-crl", "list.pem"), "give --client-ca too"),
        (("--tls-cert", "gone.pem"), "cannot read gone.pem: No such file or directory; see --tls-cert and --tls-key"),
        (("--port", "0", "--memory", "--http-host", "::1"), "--http-host is where --http-port is opened: give"),
        (("--max-devices", "0"), "max_devices must be a whole number of at least 1"),
        (("--port", "65536"), "--port must be 0 to 65535"),
        (("--ws-port", "1883"), "needs a port of its own"),
        (("--memory", "--data", "x"), "--memory keeps nothing on disk"),
        (("--durability", "some"), "--durability"),
        (("--retention-s", "99999999999999999999"), "retention_s must be at most 1000000000"),
        (("--max-invitees", "301"), "max_invitees must be at most 300"),
        (("--log-level", "loud"), "--log-level"),
        (("--config", "gone.toml"), "cannot read gone.toml"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], says: str) -> None:
    done = Finished("serve", *arguments)

    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = Ringline("serve", "--port", "0", "--data", str(tmp_path / "file"))

    assert done.end() == 1
    assert_clean_error(done)
    assert str(tmp_path / "file") in done.err[0]


def test_logs_are_lines(start: Start, users_file: Path) -> None:
    server = start("serve", "--port", "0", "--memory", "--users", str(users_file))
    url = server.line("listens on").split()[-1]
    assert Finished("invite", "bob", "--as", "mallory", "--url", url).code == 4

    line = server.err_line("mallory")

    assert " WARNING ringline_broker." in line
    assert all(" amqtt" not in one for one in server.err)


def test_logs_in_json(serve: Start, users_file: Path) -> None:
    server = serve("--memory", "--users", str(users_file))
    assert Finished("invite", "bob", "--as", "mallory", "--url", url_of(server)).code == 4

    line = json.loads(server.err_line("mallory"))

    assert line["level"] == "warning"
    assert line["logger"].startswith("ringline_broker.")


def test_logs_can_be_fewer(serve: Start, users_file: Path) -> None:
    server = serve("--memory", "--users", str(users_file), "--log-level", "error")
    assert Finished("invite", "bob", "--as", "mallory", "--url", url_of(server)).code == 4

    server.signal(signal.SIGTERM)

    assert server.end() == 0
    assert server.err == []


def test_settings_hold(serve: Start) -> None:
    server = serve("--memory", "--max-invitees", "1", "--prefix", "house/bell")
    login = ("--as", "alice", "--url", url_of(server))

    assert Finished("invite", "bob", *login, "--prefix", "house/bell").code == 0
    assert Finished("invite", "bob", "carol", *login, "--prefix", "house/bell").code == 4
    other = Finished("invite", "bob", *login)
    assert other.code == 4
    assert "refused a subscription" in other.err[0]


def test_limits_of_connections_hold(serve: Start, start: Start) -> None:
    server = serve("--memory", "--max-devices", "1")
    login = ("--url", url_of(server))
    start("listen", "--json", "--as", "alice", *login).event("connected")

    assert Finished("invite", "alice", "--as", "bob", "--connect-timeout", "2", *login).code in (4, 5)
    server.err_line("max_devices")


def test_a_file_does_what_flags_do(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "ringline.toml"
    file.write_text('port = 0\ndata = "kept"\njson = true\nmax_invitees = 1\n')
    server = start("serve", "--config", str(file), "--max-invitees", "2")
    login = ("--as", "alice", "--url", url_of(server))

    assert Finished("invite", "bob", "carol", *login).code == 0
    assert Finished("invite", "bob", "carol", "dave", *login).code == 4
    assert (tmp_path / "kept" / "ringline.sqlite").is_file()
