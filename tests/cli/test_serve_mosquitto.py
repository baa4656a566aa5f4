"""`ringline serve --broker mosquitto`: a broker of one's own as a child, from its start to its end."""

import asyncio
import json
import os
import re
import select
import signal
import ssl
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ringline_broker.bindings.amqtt.listening import tls_context
from ringline_broker.own_mosquitto.certificate import Certificate, copy_of, keep
from ringline_broker.own_mosquitto.files import Listens
from ringline_broker.own_mosquitto.server import PrivateConfig, PrivateServer
from tests.cli.conftest import Start
from tests.cli.process import Finished, Ringline, assert_clean_error
from tests.support.bound import BOUND_S
from tests.support.certificates import Certificates
from tests.support.mosquitto import find_mosquitto

PASSWORD = "correct horse"
SECRET = {"RINGLINE_PASSWORD": PASSWORD}


@pytest.fixture(autouse=True)
def _needs_it() -> None:
    find_mosquitto()


def _serve(start: Start, folder: Path, *more: str) -> tuple[Ringline, str]:
    server = start("serve", "--broker", "mosquitto", "--port", "0", "--data", str(folder), "--json", *more)
    return server, str(server.event("listening")["urls"][0])


def _pid(server: Ringline, other_than: int = 0) -> int:
    """The broker's process."""
    line = server.err_line(rf"mosquitto runs as process (?!{other_than}\b)")
    found = re.search(r"process (\d+)", line)
    assert found is not None
    return int(found[1])


class _Dying:
    """A process that is none of ours, watched from now on."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def assert_dies(self) -> None:
        with os.fdopen(self._fd):
            assert select.select([self._fd], [], [], BOUND_S)[0], "the broker lives on"


def test_it_rings_and_what_was_rung_outlives_it(start: Start, tmp_path: Path) -> None:
    server, url = _serve(start, tmp_path)
    bob = start("listen", "--as", "bob", "--url", url)
    bob.line("connected as bob")
    alice = start("invite", "bob", "--as", "alice", "--url", url, "--timeout", "600", "--json")
    assert alice.end() == 0
    iid = alice.events[0]["invite_id"]
    bob.line("ringing: alice invites you")
    broker = _Dying(_pid(server))
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    broker.assert_dies()
    _, url = _serve(start, tmp_path)
    assert Finished("accept", iid, "--as", "bob", "--url", url).code == 0


def test_a_broker_that_dies_is_started_again_and_the_call_goes_on(start: Start, tmp_path: Path) -> None:
    server, url = _serve(start, tmp_path)
    bob = start("listen", "--as", "bob", "--url", url)
    bob.line("connected as bob")
    alice = start("invite", "bob", "--as", "alice", "--url", url, "--wait", "--timeout", "600")
    bob.line("ringing: alice invites you")
    found = re.search(r"inviting bob \(id (\w+)\)", alice.line("inviting bob"))
    assert found is not None
    iid = found[1]
    first = _pid(server)
    os.kill(first, signal.SIGKILL)
    server.err_line(r"mosquitto ended \(SIGKILL\); starting it again")
    assert _pid(server, other_than=first)
    assert Finished("accept", iid, "--as", "bob", "--url", url).code == 0
    assert alice.end() == 0


@pytest.mark.parametrize("place", [("--data", "data"), ("--memory",)], ids=["data", "memory"])
def test_a_second_server_is_refused_by_name_and_leaves_the_first_one_its_files(
    start: Start, tmp_path: Path, place: tuple[str, ...]
) -> None:
    command = ("serve", "--broker", "mosquitto", "--port", "0", "--json", *place)
    first = start(*command, "--logins", cwd=tmp_path)
    url = first.event("listening")["urls"][0]
    (folder,) = tmp_path.glob("*/mosquitto")
    files = _contents(folder)
    second = start(*command, cwd=tmp_path)
    assert second.end() == 1
    assert_clean_error(second)
    relative = folder.relative_to(tmp_path)
    assert f"{relative} is in use by another server, process {first.pid}; stop it, or" in second.err[0]
    assert ("another folder with --data" in second.err[0]) == ("--data" in place)
    assert _contents(folder) == files
    broker = _pid(first)
    os.kill(broker, signal.SIGKILL)
    _pid(first, other_than=broker)
    for user in ("alice", "bob"):
        assert start("user", "add", user, "--mosquitto", str(folder), env=SECRET).end() == 0
    bob = start("listen", "--url", url.replace("//", "//bob@"), "--answer", "accept", env=SECRET)
    bob.line("connected as bob")
    assert start("invite", "bob", "--url", url.replace("//", "//alice@"), "--wait", env=SECRET).end() == 0


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_folder_is_free_after_an_end_and_after_a_failure(start: Start, tmp_path: Path) -> None:
    server, _ = _serve(start, tmp_path)
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    config = PrivateConfig(tmp_path / "mosquitto", {"default": Listens("127.0.0.1", 0)}, store="no such store")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="no such store"):
            await PrivateServer(config).start()
        server = PrivateServer(replace(config, store="memory:"))
        await server.start()
        await server.stop()
        again = PrivateServer(replace(config, store="memory:"))
        await again.start()
        await again.stop()

    asyncio.run(scenario())


def test_when_it_is_killed_its_broker_goes_with_it(start: Start, tmp_path: Path) -> None:
    server, _ = _serve(start, tmp_path)
    broker = _Dying(_pid(server))
    os.kill(server.pid, signal.SIGKILL)
    broker.assert_dies()
    _, url = _serve(start, tmp_path)
    assert url


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
def test_that_it_runs_as_root_is_no_news_of_every_start(start: Start, tmp_path: Path) -> None:
    server, _ = _serve(start, tmp_path, "--log-level", "debug")
    _pid(server)
    told = json.loads(server.err_line("should not be run as root"))
    assert told["level"] == "debug"


def test_with_logins_only_users_that_were_added_get_in(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGLINE_PASSWORD", PASSWORD)
    server, url = _serve(start, tmp_path, "--logins")
    folder = ("--mosquitto", str(tmp_path / "mosquitto"))
    for user in ("alice", "bob"):
        assert Finished("user", "add", user, *folder).code == 0
    place = url.removeprefix("mqtt://")
    assert Finished("invite", "bob", "--url", f"mqtt://eve@{place}", "--wait").code == 4
    bob = start("listen", "--url", f"mqtt://bob@{place}", "--answer", "accept", env=SECRET)
    bob.line("connected as bob")
    assert Finished("invite", "bob", "--url", f"mqtt://alice@{place}", "--wait").code == 0
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    _, url = _serve(start, tmp_path, "--logins")  # its users stay
    again = start("listen", "--url", f"mqtt://bob@{url.removeprefix('mqtt://')}", env=SECRET)
    again.line("connected as bob")


def _serve_tls(start: Start, folder: Path, *more: str) -> tuple[Ringline, Path]:
    """With a certificate for localhost, and the folder that this is in."""
    certs = folder / "certs"
    assert Finished("cert", "init", "--host", "localhost", "--dir", str(certs)).code == 0
    return start(
        "serve", "--broker", "mosquitto", "--data", str(folder / "data"), "--port", "0", "--tls-port", "0",
        "--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key"), "--json", *more,
    ), certs  # fmt: skip


def _rings_over_tls(start: Start, server: Ringline, certs: Path) -> None:
    plain, encrypted = server.event("listening")["urls"]
    bob = start("listen", "--as", "bob", "--url", plain, "--answer", "accept")
    bob.line("connected as bob")
    tls = encrypted.replace("mqtts://127.0.0.1", "mqtts://alice@localhost")
    assert start("invite", "bob", "--url", tls, "--cafile", str(certs / "authority.pem"), "--wait").end() == 0


def test_over_tls(start: Start, tmp_path: Path) -> None:
    server, certs = _serve_tls(start, tmp_path)
    assert [url.partition(":")[0] for url in server.event("listening")["urls"]] == ["mqtt", "mqtts"]
    _rings_over_tls(start, server, certs)
    copy = tmp_path / "data/mosquitto/server.pem"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_certificate_that_cannot_be_read_is_not_taken_and_the_broker_can_start_again(
    start: Start, tmp_path: Path
) -> None:
    server, certs = _serve_tls(start, tmp_path)
    broker = _pid(server)
    (certs / "server.pem").write_text("broken")
    server.signal(signal.SIGHUP)
    server.err_line(f"not reloaded, all stays as it was: {certs / 'server.pem'}")
    os.kill(broker, signal.SIGKILL)
    _pid(server, other_than=broker)
    _rings_over_tls(start, server, certs)
    assert not any("reloaded: " in line for line in server.err)


def test_a_renewed_certificate_is_taken_while_it_runs(start: Start, tmp_path: Path) -> None:
    server, certs = _serve_tls(start, tmp_path, "--log-level", "debug")
    port = server.event("listening")["ports"]["tls_port"]
    before = ssl.get_server_certificate(("127.0.0.1", port))
    assert Finished("cert", "server", "--dir", str(certs)).code == 0
    server.signal(signal.SIGHUP)
    server.err_line(f"reloaded: {certs / 'server.pem'}")
    server.err_line("mosquitto: Reloading config")
    after = ssl.get_server_certificate(("127.0.0.1", port))
    assert after != before
    assert after.strip() in (certs / "server.pem").read_text()


@pytest.mark.parametrize("broker", ["mosquitto", "amqtt"])
def test_without_a_certificate_there_is_nothing_to_reload(start: Start, tmp_path: Path, broker: str) -> None:
    server = start("serve", "--broker", broker, "--port", "0", "--data", str(tmp_path), "--json")
    server.event("listening")
    server.signal(signal.SIGHUP)
    server.err_line("nothing to reload: no certificate and no file of users was given")


def test_the_copy_has_the_key_that_was_given_and_not_another_one(tmp_path: Path) -> None:
    """A file of a key may have an old certificate in it, and one of a certificate another key."""
    now, other = (_made(tmp_path / name) for name in ("now", "other"))
    certificate = Certificate(tmp_path / "certificate.pem", tmp_path / "key.pem")
    certificate.certfile.write_text(now.certfile.read_text() + other.keyfile.read_text())
    certificate.keyfile.write_text(other.certfile.read_text() + now.keyfile.read_text())
    keep(certificate, tmp_path)
    copy = copy_of(tmp_path)
    tls_context(copy, copy)  # it is whole
    assert other.certfile.read_text() not in copy.read_text()


def _made(folder: Path) -> Certificates:
    folder.mkdir()
    return Certificates(folder)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--prefix", "a%u"), "--prefix must not contain %"),
        (("--users", "users.txt"), "Mosquitto, which reads no such hashes: give --logins"),
        (("--ws-port", "0"), "--ws-port cannot be had with --broker mosquitto: Mosquitto 2.0 would open it on all"),
        (("--max-devices-per-user", "3"), "--max-devices-per-user is a limit of --broker amqtt"),
        (("--packet-s", "3"), "--packet-s is a limit of --broker amqtt"),
        (("--host", "192.0.2.1"), "which takes encryption (--tls-cert) and logins (--logins)"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = Finished("serve", "--broker", "mosquitto", "--port", "0", "--data", str(tmp_path), *arguments)
    assert done.code == 2
    assert says in " ".join(done.err)


def test_logins_are_said_to_be_mosquittos() -> None:
    done = Finished("serve", "--logins")
    assert done.code == 2
    assert "--logins is for --broker mosquitto" in done.err[0]


def test_where_there_is_no_mosquitto_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    done = Finished("serve", "--broker", "mosquitto", "--port", "0", "--data", str(tmp_path))
    assert done.code == 1
    assert "apt-get install mosquitto" in " ".join(done.err)


def test_a_broker_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    (folder / "acl").mkdir()  # where a file has to be
    done = Finished("serve", "--broker", "mosquitto", "--port", "0", "--data", str(tmp_path))
    assert done.code == 1
    assert "acl" in " ".join(done.err)
