"""`ringline worker` beside a real Mosquitto."""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Start
from tests.cli.process import Finished, Ringline
from tests.support.bound import BOUND_S
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import RedisServer
from tests.support.running import free_port

SHARE = {"RINGLINE_SHARE": "a secret of this test"}


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, "max_inflight_messages 1000\nmax_queued_messages 100000") as broker:
        yield broker


def _worker(start: Start, broker: Mosquitto, store: str, *more: str) -> Ringline:
    return start("worker", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--store", store, *more, env=SHARE)


def test_a_call_through_a_worker_and_its_end(start: Start, mosquitto: Mosquitto, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'calls.sqlite'}"
    worker = _worker(start, mosquitto, store)
    worker.line(f"works beside mqtt://127.0.0.1:{mosquitto.port}, and keeps invitations in {store}")
    url = ("--url", f"mqtt://127.0.0.1:{mosquitto.port}")
    bob = start("listen", "--as", "bob", "--answer", "accept", *url)
    bob.line("connected as bob")
    alice = start("invite", "bob", "--as", "alice", "--wait", *url)
    assert alice.end() == 0
    bob.line("ringing: alice invites you")
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    again = _worker(start, mosquitto, store)
    again.line("works beside")
    assert again.interrupt() == 0


def test_it_says_in_json_that_it_works_and_no_password(start: Start, mosquitto: Mosquitto) -> None:
    broker = f"mqtt://someone:secret@127.0.0.1:{mosquitto.port}"
    worker = start("worker", "--broker", broker, "--store", "memory:", "--json", env=SHARE)
    event = worker.event("working")
    assert (event["broker"], event["store"]) == (f"mqtt://127.0.0.1:{mosquitto.port}", "memory:")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_it_says_where_its_store_is_and_none_of_its_passwords(
    start: Start, mosquitto: Mosquitto, redis_server: RedisServer, form: tuple[str, ...]
) -> None:
    redis_server.call("FLUSHALL")
    redis_server.call("ACL", "SETUSER", "someone", "on", ">secret", "~*", "+@all")
    place = f"redis://{redis_server.address}/0"
    store = f"{place.replace('//', '//someone:secret@')}?sentinel%5Fpassword=sec@ret&shards=2&sentinel_password=secret"
    worker = _worker(start, mosquitto, store, *form)
    worker.line(re.escape(f"{place}?shards=2"))
    assert worker.interrupt() == 0
    redis_server.call("ACL", "DELUSER", "someone")
    assert not [line for line in (*worker.out, *worker.err) if "ret" in line]


def test_a_store_that_another_worker_has_is_refused_by_name(start: Start, mosquitto: Mosquitto, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'calls.sqlite'}"
    _worker(start, mosquitto, store).line("works beside")
    second = _worker(start, mosquitto, store)
    assert second.end() == 1
    assert "workers that share a store need redis" in second.err[-1]


def test_ctrl_c_ends_one_that_still_waits_for_its_broker(start: Start) -> None:
    waiting = start("worker", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--store", "memory:", env=SHARE)
    waiting.err_line("trying again")
    assert waiting.interrupt() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give all workers the same --share NAME, or RINGLINE_SHARE"),
        ((), "load what it has: set -a; . DIR/worker.env; set +a"),
        (("--share", "a/b"), "the share's name"),
        (("--share", "x", "--broker", "http://127.0.0.1"), "--broker: not a broker's URL"),
        (("--share", "x", "--broker", "ws://127.0.0.1"), "a worker needs MQTT itself"),
        (("--share", "x", "--store", "postgres:"), "no such store"),
        (("--share", "x", "--cert", "w.pem"), "--cert is for connections over TLS: use --broker mqtts://"),
        (("--share", "x", "--cafile", "a.pem"), "--cafile is for connections over TLS: use --broker mqtts://"),
        (("--share", "x", "--broker", "mqtt://127.0.0.1/x"), "--broker: a broker's URL ends with its port"),
        (("--share", "x", "--store", "redis://127.0.0.1", "--durability", "full"), "--durability is for a sqlite"),
        (("--share", "x", "--http-host", "127.0.0.2"), "--http-host is where --http-port is opened: give that too"),
        (("--share", "x", "--broker", "mqtts://127.0.0.1", "--cafile", "gone.pem"), "cannot use --cafile gone.pem"),
        (("--share", "x", "--retention-s", "99999999999999999999"), "retention_s must be at most 1000000000"),
        (("--share", "x", "--max-open", "0"), "max_open must be a whole number of at least 1"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], says: str) -> None:
    done = Finished("worker", "--store", "memory:", *arguments)
    assert done.code == 2
    assert says in "\n".join(done.err)


def test_mqtts_is_encrypted_whatever_else_is_said(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(BOUND_S)
        broker = f"mqtts://someone:secret@127.0.0.1:{listener.getsockname()[1]}"
        start("worker", "--broker", broker, "--store", "memory:", env=SHARE)
        link, _ = listener.accept()
        with link:
            link.settimeout(BOUND_S)
            assert link.recv(1) == b"\x16", "a handshake of TLS, and no CONNECT with a password in it"
