"""`ringline deploy mosquitto`, and `ringline user --mosquitto` at the broker that runs with what it wrote."""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringline_broker.authority import BACKDATED, ISSUED_FOR, Authority
from ringline_broker.deployment.mosquitto import WORKER, find_program
from tests.cli.conftest import Start
from tests.cli.process import Finished, Ringline, assert_clean_error
from tests.support.deployed import PASSWORD, Deployed
from tests.support.mosquitto import find_mosquitto
from tests.support.running import free_port

KNOWN = {"RINGLINE_PASSWORD": PASSWORD}
ACCOUNT = ("--user", "root") if os.geteuid() == 0 else ()
"""Whoever runs the tests: nobody else can read their folders."""
ANYWHERE = "0.0.0.0"  # noqa: S104 - no more than asked for, but for where TLS is


@pytest.fixture(autouse=True)
def _ready(monkeypatch: pytest.MonkeyPatch) -> None:
    find_mosquitto()
    monkeypatch.setenv("RINGLINE_PASSWORD", PASSWORD)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with Deployed(tmp_path) as deployed:
        yield deployed


def _deploy(folder: Path, *more: str) -> Finished:
    return Finished("deploy", "mosquitto", str(folder), *ACCOUNT, *more)


def _user(folder: Path, *words: str) -> Finished:
    return Finished("user", *words, "--mosquitto", str(folder))


def _lines(done: Ringline) -> list[str]:
    return [line.strip() for line in done.out if line.startswith("  ")]


def _paste(start: Start, line: str, folder: Path | None = None) -> Ringline:
    return start(line, program=("/bin/sh", "-c"), env=KNOWN, cwd=folder)


def test_what_the_readme_has_can_be_pasted_in_another_folder(start: Start, tmp_path: Path) -> None:
    assert start("cert", "init", "--host", "localhost", "--dir", "certs", cwd=tmp_path).end() == 0
    words = ("--tls-cert", "certs/server.pem", "--tls-key", "certs/server.key", "--port", str(free_port()))
    done = start("deploy", "mosquitto", "a site", *words, *ACCOUNT, cwd=tmp_path)
    assert done.end() == 0, done.err
    readme = (tmp_path / "a site/README.md").read_text()
    broker, worker, user = (line.strip() for line in readme.splitlines() if line.startswith("    "))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _paste(start, f"exec {broker}", elsewhere).err_line("running")
    _paste(start, worker, elsewhere).line("works beside")
    assert _paste(start, user, elsewhere).end() == 0


def _rings(start: Start, folder: Path, *more: str) -> None:
    """Everything that is printed is done, in that order."""
    done = start("deploy", "mosquitto", str(folder), *ACCOUNT, "--port", str(free_port()), *more)
    assert done.end() == 0, done.err
    broker, worker, add_alice, add_bob, listen, invite = _lines(done)
    running = _paste(start, f"exec {broker}")
    running.err_line("running")
    _paste(start, worker).line("works beside")
    for line in (add_alice, add_bob):
        words = shlex.split(line)
        assert Finished(*words[words.index("user") :]).code == 0
    bob = _paste(start, listen)
    bob.line("connected as bob")
    assert _paste(start, invite).end() == 0
    assert _user(folder, "remove", "bob").out == ["removed bob"]
    bob.line("refused the login")
    running.signal(signal.SIGTERM)
    assert running.end() == 0


def test_what_is_printed_can_be_pasted_and_rings(start: Start, tmp_path: Path) -> None:
    _rings(start, tmp_path / "a site")


def test_likewise_over_tls_with_topics_for_groups_and_another_prefix(start: Start, tmp_path: Path) -> None:
    certs = tmp_path / "certs"
    assert Finished("cert", "init", "--host", "localhost", "--dir", str(certs)).code == 0
    tls = ("--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key"))
    _rings(start, tmp_path / "site", "--host", ANYWHERE, *tls, "--group-topics", "--prefix", "my/site")


def test_secrets_are_random_and_their_owners_alone(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        assert _deploy(folder).code == 0
    for name in ("worker.env", "admin.json", "broker/dynamic-security.json"):
        one, other = (folder / name for folder in folders)
        assert one.read_bytes() != other.read_bytes()
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert stat.S_IMODE((folders[0] / "broker").stat().st_mode) == 0o700
    config = (folders[0] / "mosquitto.conf").read_text()
    secrets = [line.partition("=")[2] for line in (folders[0] / "worker.env").read_text().splitlines()]
    assert all(len(secret) == 64 and secret not in config for secret in secrets)


@pytest.mark.parametrize("group_topics", [False, True])
def test_a_worker_manages_permissions_only_where_groups_have_topics(tmp_path: Path, group_topics: bool) -> None:
    assert _deploy(tmp_path / "site", *("--group-topics",) * group_topics).code == 0
    known = json.loads((tmp_path / "site/broker/dynamic-security.json").read_text())
    assert set(known["defaultACLAccess"].values()) == {False}
    (roles,) = [[role["rolename"] for role in one["roles"]] for one in known["clients"] if one["username"] == WORKER]
    assert roles == ["ringline/v1/worker", "ringline/v1/control"][: 1 + group_topics]


def test_one_there_is_stays_unless_forced(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert _deploy(folder).code == 0
    before = (folder / "worker.env").read_bytes()
    refused = _deploy(folder)
    assert refused.code == 1
    assert_clean_error(refused)
    assert "--force" in refused.err[0]
    assert (folder / "worker.env").read_bytes() == before
    users = (folder / "broker/dynamic-security.json").read_bytes()
    assert _deploy(folder, "--force").code == 0
    assert (folder / "worker.env").read_bytes() != before
    assert (folder / "broker/dynamic-security.json.old").read_bytes() == users


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--host", ANYWHERE), "can be reached from other machines, which takes encryption (--tls-cert)"),
        (("--tls-key", "x.pem"), "--tls-key is the key of a certificate"),
        (("--tls-cert", "gone.pem"), "--tls-cert: there is no file gone.pem"),
        (("--plugin", "gone.so"), "--plugin: there is no file gone.so"),
        (("--port", "0"), "--port must be 1 to 65535"),
        (("--host", "a b"), "--host is no address"),
        (("--prefix", "a/#"), "prefix must be a topic without wildcards"),
        (("--prefix", "a/%u"), "--prefix must not contain %"),
    ],
)
def test_wrong_use(tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    done = _deploy(tmp_path / "site", *more)
    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(("days", "says"), [(-4_000, "expired on"), (400, "is not valid before")])
def test_a_certificate_that_no_client_takes_is_refused(tmp_path: Path, days: int, says: str) -> None:
    made = datetime.now(UTC) + timedelta(days=days)
    Authority.create(tmp_path / "certs", ["localhost"], made)
    cert = tmp_path / "certs/server.pem"
    done = _deploy(tmp_path / "site", "--tls-cert", str(cert), "--tls-key", str(cert.with_suffix(".key")))
    assert done.code == 2
    assert_clean_error(done)
    day = made - BACKDATED if days > 0 else made + ISSUED_FOR
    assert f"--tls-cert: {cert} {says} {day:%Y-%m-%d}" in done.err[0]
    assert "ringline cert server" in done.err[0]
    assert not (tmp_path / "site").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.touch()
    done = _deploy(file)
    assert done.code == 2
    assert done.err == [f"DIR: {file} is a file, and has to be a folder or a new name"]


def test_a_network_without_strangers_may_be_had_and_is_warned_of(tmp_path: Path) -> None:
    done = _deploy(tmp_path / "site", "--host", ANYWHERE, "--insecure")
    assert done.code == 0
    assert "--insecure: whoever is on the way to 0.0.0.0" in done.err[0]
    assert any("mqtt://bob@127.0.0.1:1883" in line for line in done.out)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a broker that becomes somebody else")
def test_a_folder_that_the_broker_could_not_reach_is_refused(tmp_path: Path) -> None:
    done = Finished("deploy", "mosquitto", str(tmp_path / "site"), "--user", "nobody")
    assert done.code == 1
    assert "user nobody, as whom the broker runs, may not enter" in done.err[0]
    assert not (tmp_path / "site").exists()
    unknown = Finished("deploy", "mosquitto", str(tmp_path / "other"), "--user", "no-such-account")
    assert "the system has no user no-such-account" in unknown.err[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a broker that becomes somebody else")
def test_a_key_that_the_broker_could_not_read_is_refused() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        certs = place / "the certs"
        assert Finished("cert", "init", "--host", "localhost", "--dir", str(certs)).code == 0
        tls = ("--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key"))
        closed = Finished("deploy", "mosquitto", str(place / "site"), "--user", "nobody", *tls)
        assert closed.code == 1
        says, _, todo = closed.err[0].partition(": ")
        assert says.endswith(f"may not enter {certs}, where its certificate is")
        subprocess.run(todo, shell=True, check=True)  # noqa: S602 - it is for a shell
        assert stat.S_IMODE(certs.stat().st_mode) == 0o710
        done = Finished("deploy", "mosquitto", str(place / "site"), "--user", "nobody", *tls)
        assert done.code == 1
        assert "may not read" in done.err[0]
        assert "chown nobody" in done.err[0]
        shutil.chown(certs / "server.key", "nobody")
        shutil.chown(certs / "server.pem", "nobody")
        assert Finished("deploy", "mosquitto", str(place / "site"), "--user", "nobody", *tls).code == 0
        assert (place / "site/broker").owner() == "nobody"


def test_users_come_and_go_while_it_runs(broker: Deployed) -> None:
    folder = broker.folder
    assert _user(folder, "list").out == []
    assert _user(folder, "add", "bob").out == ["added bob"]
    assert _user(folder, "add", "alice").out == ["added alice"]
    assert _user(folder, "add", "bob").out == ["changed bob"]
    assert _user(folder, "list").out == ["alice", "bob"]
    assert _user(folder, "list", "--json").events == [{"user": "alice"}, {"user": "bob"}]
    assert _user(folder, "remove", "alice").out == ["removed alice"]
    gone = _user(folder, "remove", "alice")
    assert (gone.code, gone.err) == (1, [f"there is no user alice in {folder}"])
    broker.stop()
    broker.start()
    assert _user(folder, "list").out == ["bob"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/b", "NAME must not contain /"),
        ("%c", "NAME must not contain % on Mosquitto"),
        ("ringline-worker", "NAME is an account of the deployment itself"),
    ],
)
def test_names_that_no_user_can_have(broker: Deployed, name: str, says: str) -> None:
    done = _user(broker.folder, "add", name)
    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]


def test_where_no_broker_is_and_where_another_is(broker: Deployed, tmp_path: Path) -> None:
    later = tmp_path / "later"
    assert _deploy(later, "--port", str(broker.port)).code == 0
    refused = _user(later, "list")
    assert refused.code == 4
    assert "the broker refuses ringline-admin: it does not run with the configuration in" in refused.err[0]
    broker.stop()
    gone = _user(broker.folder, "list")
    assert gone.code == 5
    assert_clean_error(gone)
    assert gone.err[1] == f"start it with: {find_program()} -c {broker.folder / 'mosquitto.conf'}"
    none = _user(tmp_path, "list")
    assert none.code == 1
    assert "has no admin.json: give the folder that `ringline deploy mosquitto` wrote to" in none.err[0]
    (later / "admin.json").write_text("{}")
    assert "it is not as it was written" in _user(later, "list").err[0]


@pytest.mark.parametrize("which", [(), ("--users", "x", "--mosquitto", "y")], ids=["neither", "both"])
def test_it_must_be_said_whose_users(which: tuple[str, ...]) -> None:
    done = Finished("user", "list", *which)
    assert done.code == 2
    assert "either --users FILE" in done.err[0]


def test_a_worker_without_the_right_says_so(start: Start, broker: Deployed) -> None:
    at = ("--broker", f"mqtt://{WORKER}@127.0.0.1:{broker.port}", "--store", "memory:")
    worker = start("worker", *at, "--permissions", "dynsec", "--group-topics", env=broker.env)
    assert worker.end() == 1
    assert "$CONTROL/dynamic-security/v1/response" in worker.err[-1]


def test_a_worker_that_is_not_told_of_topics_for_groups_is_refused(start: Start, tmp_path: Path) -> None:
    with Deployed(tmp_path, group_topics=True) as broker:
        at = ("--broker", f"mqtt://{WORKER}@127.0.0.1:{broker.port}", "--store", "memory:")
        for flags in ((), ("--permissions", "dynsec")):
            worker = start("worker", *at, *flags, env=broker.env)
            assert worker.end() == 1
            assert "start every worker of this site with --permissions dynsec --group-topics" in worker.err[-1]


def test_topics_for_groups_take_permissions() -> None:
    done = Finished("worker", "--share", "x", "--group-topics")
    assert done.code == 2
    assert "--permissions dynsec too" in done.err[0]
