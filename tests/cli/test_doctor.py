"""`ringline doctor` over deployments that are well, and over some that are not: each fault is named with its remedy."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringline_broker.bindings.mosquitto.roles import SEND
from ringline_broker.deployment.mosquitto import SECURITY
from tests.cli.conftest import Start
from tests.cli.process import Finished
from tests.support.beside import WorkerRing
from tests.support.deployed import PASSWORD, Deployed
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import KEEPING, RedisServer, redis_binary
from tests.support.running import free_port
from tests.support.services import missing

USERS = ("--user", "alice", "--user", "bob")
GROUPS = "publish a group's event"
LOCK = "broker, lock on roles"
MEMBERS = "hear a group's event"
PROBES = "publish in the self-test"
ACL = """user worker
topic read $share/#
topic write ringline/v1/u/+/evt
topic write ringline/v1/u/+/d/+
topic readwrite ringline/v1/probe/+
topic read ringline/v1/u/+/req
pattern write ringline/v1/u/%u/req
pattern read ringline/v1/u/%u/evt
pattern read ringline/v1/u/%u/d/+
"""


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGLINE_SHARE", raising=False)
    for name in ("RINGLINE_PASSWORD_1", "RINGLINE_PASSWORD_2"):
        monkeypatch.setenv(name, PASSWORD)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(redis_binary() or missing("redis-server"), *KEEPING) as server:
        yield server


class Examined:
    """What a doctor said of a deployment."""

    def __init__(self, *arguments: str) -> None:
        done = Finished("doctor", "--json", *arguments)
        assert not done.err, done.err
        *checks, self.sum = done.events
        self.code = done.code
        self.checks = {f"{one['area']}, {one['check']}": one for one in checks}

    def named(self, verdict: str) -> set[str]:
        """The checks with this verdict."""
        return {name for name, one in self.checks.items() if one["verdict"] == verdict}

    def says(self, check: str, verdict: str, found: str, remedy: str = "") -> None:
        """A check found this, and says what to do."""
        one: dict[str, Any] = self.checks[check]
        assert one["verdict"] == verdict, one
        assert re.search(found, one["found"]), one
        assert re.search(remedy, one["remedy"]), one
        assert bool(one["remedy"]) == (verdict in ("warn", "fail")), one


@pytest.mark.parametrize("group_topics", [False, True])
def test_a_deployment_as_we_write_it_is_well(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, group_topics: bool
) -> None:
    with WorkerRing(tmp_path, redis.url, group_topics=group_topics) as ring:
        broker = ring.mosquitto
        for name, value in broker.env.items():
            monkeypatch.setenv(name, value)
        url = f"mqtt://{broker.worker.username}@127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", redis.url, *USERS)
    assert (seen.named("fail"), seen.code) == (set(), 0), seen.checks
    assert seen.named("skipped") == (set() if group_topics else {f"permissions, {MEMBERS}", LOCK})
    assert seen.named("warn") <= {"workers, answer", "broker, round trip", "store, latency"}, seen.checks
    seen.says("broker, anonymous login", "ok", "refused")
    seen.says("broker, receive maximum", "ok", "1000")
    seen.says("permissions, own events", "ok", "heard")
    seen.says("permissions, own requests", "ok", "taken, and seen")
    refused = [name for name in seen.checks if name.startswith("permissions, subscribe")]
    assert len(refused) == 10
    for name in refused:
        seen.says(name, "ok", "^refused$")
    for name in ("request", "event", "answer"):
        seen.says(f"permissions, publish another's {name}", "ok", "the broker says so 2 of 4 times")
    for name in (GROUPS, PROBES):
        seen.says(f"permissions, {name}", "ok", "the broker says so 2 of 4 times")
    seen.says("broker, workers' share", "ok", "may join")
    seen.says("workers, share", "ok", "are in the share of this name")
    seen.says("permissions, leave a will to another", "ok", "nothing comes of it")
    seen.says("permissions, leave a retained message", "ok", "refused")
    seen.says("store, persistence", "ok", "append-only")
    assert seen.sum["event"] == "examined"
    assert seen.sum["ok"] + seen.sum["warn"] + seen.sum["skipped"] == len(seen.checks)
    if group_topics:
        seen.says(f"permissions, {MEMBERS}", "ok", "^nothing comes of it; the broker says so 0 of 4 times$")
    else:
        seen.says(f"permissions, {MEMBERS}", "skipped", "groups have no topics here")


def test_a_broker_that_lets_everybody_do_everything(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", "memory:", "--share", "a-secret", *USERS)
    assert seen.code == 1
    seen.says("broker, anonymous login", "fail", "anybody", "allow_anonymous false")
    seen.says("workers, answer", "fail", "nobody is there to hear a request", "start `ringline worker`")
    seen.says("permissions, own requests", "ok", "taken, and seen")
    hears = r"'alice' over MQTT 5 hears \S+; so does everybody over either version"
    for name in ("another's events", "another's answers", "everybody's events", "everybody's requests", "#", "+/#",
                 "a share of everything", "a share of the requests", "$SYS/#"):  # fmt: skip
        seen.says(f"permissions, subscribe {name}", "fail", hears, "ringline deploy mosquitto")
    for name in ("publish another's event", "publish another's answer", "leave a will to another"):
        seen.says(f"permissions, {name}", "fail", r"is heard on .*; so does everybody", "acl_file")
    seen.says(f"permissions, {GROUPS}", "fail", r"is heard on \S+/g/\S+; so does everybody", "no `write` line")
    seen.says(f"permissions, {MEMBERS}", "fail", r"no member, and hears \S+/g/\S+; so does everybody", "members alone")
    seen.says(f"permissions, {PROBES}", "fail", r"is heard on \S+/probe/\S+; so does everybody", "worker's user alone")
    seen.says("permissions, publish another's request", "fail", "in the name of 'bob'; so does everybody", "acl_file")
    seen.says("permissions, leave a retained message", "warn", "takes retained messages", "retain_available false")
    seen.says("permissions, subscribe the workers' share", "fail", "takes away 8 of 16", "dynamic security")
    seen.says("store, persistence", "warn", "memory forgets", "sqlite:PATH")


def with_acl_file(folder: Path, acl: str) -> Mosquitto:
    """A broker, not yet started, that knows a worker and two users and holds them to these lines."""
    (folder / "acl").write_text(acl)
    (folder / "passwords").touch()
    for user in ("worker", "alice", "bob"):
        command = ("mosquitto_passwd", "-b", str(folder / "passwords"), user, PASSWORD)
        subprocess.run(command, check=True, capture_output=True)
    config = f"allow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/acl\n"
    return Mosquitto(folder, config + "retain_available false")


def test_users_who_may_speak_for_groups_and_in_the_self_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGLINE_PASSWORD", PASSWORD)
    acl = f"{ACL}pattern readwrite ringline/v1/g/+/evt\npattern write ringline/v1/probe/+\n"
    with with_acl_file(tmp_path, acl) as broker:
        seen = Examined("--broker", f"mqtt://worker@127.0.0.1:{broker.port}", "--store", "memory:", *USERS)
    assert seen.named("fail") == {
        "workers, answer", f"permissions, {GROUPS}", f"permissions, {MEMBERS}", f"permissions, {PROBES}"
    }, seen.checks  # fmt: skip
    seen.says(f"permissions, {GROUPS}", "fail", r"'alice' over MQTT 5 is heard on ringline/v1/g/doctor-", "no user")


def test_users_who_may_speak_for_groups_of_which_they_hear_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with topics for groups, which only members hear: that the broker takes it is all that can be seen."""
    broker = Deployed(tmp_path, "alice", "bob")
    file = broker.folder / SECURITY
    known = json.loads(file.read_text())
    (everyone,) = (role for role in known["roles"] if role["rolename"].endswith("/everyone"))
    everyone["acls"].append({"acltype": SEND, "topic": "ringline/v1/g/+/evt", "allow": True})
    file.write_text(json.dumps(known))
    monkeypatch.setenv("RINGLINE_PASSWORD", broker.env["RINGLINE_PASSWORD"])
    with broker:
        url = f"mqtt://{broker.worker.username}@127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", "memory:", *USERS)
    seen.says(f"permissions, {GROUPS}", "warn", "^taken from 'alice' over MQTT 5; no test user is", "no user")
    assert seen.named("fail") == {"workers, answer"}


def test_an_acl_file_filters_but_lets_users_into_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing of what it filters, so only what is delivered tells; and who is in the share takes requests."""
    monkeypatch.setenv("RINGLINE_PASSWORD", PASSWORD)
    with with_acl_file(tmp_path, ACL) as broker:
        url = f"mqtt://worker@127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", "memory:", "--share", "a-secret", *USERS)
        monkeypatch.setenv("RINGLINE_PASSWORD_2", "another")
        wrong = Examined("--broker", url, "--store", "memory:", *USERS)
        monkeypatch.setenv("RINGLINE_PASSWORD", "another")
        out = Examined("--broker", url, "--store", "memory:")
    assert seen.named("fail") == {"workers, answer", "permissions, subscribe the workers' share"}, seen.checks
    seen.says("permissions, subscribe another's events", "ok", "nothing comes of it; the broker says so 0 of 4 times")
    seen.says("permissions, subscribe the workers' share", "fail", "takes away 8 of 16", "never refuses one")
    wrong.says("permissions, test users", "fail", "refuses 'bob'", "RINGLINE_PASSWORD_2")
    wrong.says("permissions, own events", "skipped", "not logged in")
    out.says("broker, login", "fail", "refused for 'worker'", "RINGLINE_PASSWORD")
    out.says("broker, receive maximum", "skipped", "there is no login")
    out.says("permissions, test users", "skipped", "there is no login")


def test_a_share_that_the_worker_may_not_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerRing(tmp_path) as ring:
        broker = ring.mosquitto
        monkeypatch.setenv("RINGLINE_PASSWORD", broker.env["RINGLINE_PASSWORD"])
        url = f"mqtt://{broker.worker.username}@127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", "memory:", "--share", "WRONG", *USERS)
    assert (seen.named("fail"), seen.code) == ({"broker, workers' share"}, 1), seen.checks
    seen.says("broker, workers' share", "fail", "the share of this name, reason 0x87$", "RINGLINE_SHARE of worker.env")
    seen.says("workers, share", "skipped", "the worker's account may not join it")
    seen.says("permissions, subscribe the workers' share", "skipped", "not known to be the workers'")


def test_a_share_that_no_worker_is_in(tmp_path: Path, start: Start) -> None:
    """On a broker that lets everybody into any share, only what is delivered tells."""
    with Mosquitto(tmp_path) as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        worker = start("worker", "--broker", url, "--store", "memory:", "--json", env={"RINGLINE_SHARE": "theirs"})
        worker.event("working")
        wrong = Examined("--broker", url, "--store", "memory:", "--share", "WRONG", *USERS)
        right = Examined("--broker", url, "--store", "memory:", "--share", "theirs", *USERS)
    wrong.says("broker, workers' share", "ok", "may join")
    wrong.says("workers, share", "fail", "answer are in another share", "RINGLINE_SHARE of worker.env")
    wrong.says("permissions, subscribe the workers' share", "skipped", "no worker is in it")
    right.says("workers, share", "ok", "are in the share of this name")
    right.says("permissions, subscribe the workers' share", "fail", "takes away 8 of 16", "dynamic security")


def test_another_prefix_than_the_deployment_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Deployed(tmp_path, "alice", "bob")
    monkeypatch.setenv("RINGLINE_PASSWORD", broker.env["RINGLINE_PASSWORD"])
    with broker:
        url = f"mqtt://{broker.worker.username}@127.0.0.1:{broker.port}"
        seen = Examined("--broker", url, "--store", "memory:", "--prefix", "foo", *USERS)
    found = r"^the broker refuses 'alice' their own foo/u/alice/evt, reason 0x87$"
    remedy = r"^give --prefix as .*\(Mosquitto: `ringline deploy mosquitto` sets it up; EMQX: deploy/emqx\)$"
    seen.says("permissions, test users", "fail", found, remedy)


def test_a_broker_with_a_small_window(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "max_inflight_messages 5") as broker:
        seen = Examined("--broker", f"mqtt://127.0.0.1:{broker.port}", "--store", "memory:")
    seen.says("broker, receive maximum", "warn", "takes 5 unacknowledged", "max_inflight_messages; EMQX: mqtt.max_infl")
    seen.says("broker, shared subscriptions", "ok", "exactly once")
    seen.says("broker, packet size", "warn", "does not say that it limits packets", "max_packet_size 65536")
    seen.says("permissions, test users", "skipped", "--user NAME --user NAME")
    assert "permissions, own events" not in seen.checks


def test_a_broker_that_keeps_the_worker_from_its_probes(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic read $share/#\ntopic write ringline/v1/u/+/evt\n")
    with Mosquitto(tmp_path, f"acl_file {tmp_path}/acl\nmax_packet_size 20000") as broker:
        seen = Examined("--broker", f"mqtt://127.0.0.1:{broker.port}", "--store", "memory:")
    seen.says("broker, shared subscriptions", "fail", "may not publish|packets of", "probe")
    seen.says("broker, packet size", "fail", "20000 bytes", "max_packet_size")


def test_where_no_broker_is(tmp_path: Path) -> None:
    seen = Examined("--broker", f"mqtt://127.0.0.1:{free_port()}", "--store", f"sqlite:{tmp_path}/calls.sqlite", *USERS)
    assert seen.named("fail") == {"broker, reached"}
    seen.says("broker, reached", "fail", "no broker at 127.0.0.1", "start the broker")
    seen.says("broker, login", "skipped", "not reached")
    seen.says("permissions, subscribe #", "skipped", "not logged in")
    seen.says("store, reached", "ok", "not there yet")
    seen.says("machine, versions", "ok", "Python 3")
    assert not list(tmp_path.iterdir()), "it writes nothing"


def test_people_read_lines(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path}/calls.sqlite"
    done = Finished("doctor", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--store", store)
    assert done.code == 1
    assert done.out[0].startswith("FAIL    broker, reached: no broker at 127.0.0.1")
    assert ". To do: start the broker" in done.out[0]
    assert "skipped broker, login: the broker is not reached" in done.out
    assert re.fullmatch(r"\d+ ok, \d+ to look at, 1 failed, \d+ skipped", done.out[-1])


def test_ctrl_c_ends_it(start: Start) -> None:
    with RedisServer(redis_binary() or missing("redis-server")) as redis:
        redis.pause()
        broker = f"mqtt://127.0.0.1:{free_port()}"
        asking = start("doctor", "--broker", broker, "--store", f"{redis.url}?timeout_ms=60000")
        asking.line("permissions, test users")
        assert asking.interrupt() == 130
        assert asking.err == []
        redis.resume()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--broker", "http://127.0.0.1"), "not a broker's URL"),
        (("--cert", "w.pem"), "--cert is for connections over TLS: use --broker mqtts://"),
        (("--broker", "ws://127.0.0.1"), "a worker needs MQTT itself"),
        (("--store", "postgres:"), "--store: no such store"),
        (("--store", "redis://x?waits=1"), "--store: no such option"),
        (("--user", "alice"), "give two test users"),
        (("--user", "alice", "--user", "alice"), "give two test users"),
        (("--user", "a/b", "--user", "bob"), "--user: a/b must not contain /"),
        (("--share", "a/b"), "--share: the share's name"),
        (("--prefix", "a/#"), "prefix must be a topic"),
        (("--cert", "w.pem"), "--cert is for connections over TLS"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], says: str) -> None:
    done = Finished("doctor", *arguments)
    assert done.code == 2
    assert says in "\n".join(done.err)
