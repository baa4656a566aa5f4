"""`--http-port` of `ringline serve` and `ringline worker`, as real processes, and how a worker ends."""

import json
import queue
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

from ringline.protocol.answers import decode_answer
from ringline.protocol.requests import Get, encode_request
from ringline.protocol.topics import Topics
from tests.cli.conftest import Start, url_of
from tests.cli.process import Finished, Ringline
from tests.support.bound import BOUND_S
from tests.support.mosquitto import Mosquitto
from tests.support.running import free_port
from tests.support.tunnel import Tunnel
from tests.unit.engine.play import new_id
from tests.unit.monitoring.documented import documented

WITHIN_S: Final = 10.0
"""Seconds in which the next answer comes, if one does."""
SHARE: Final = {"RINGLINE_SHARE": "a secret of this test"}
TOPICS: Final = Topics()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, "max_inflight_messages 1000\nmax_queued_messages 100000\nset_tcp_nodelay true") as broker:
        yield broker


def worker(start: Start, broker: Mosquitto | int, *more: str) -> Ringline:
    port = broker if isinstance(broker, int) else broker.port
    address = f"mqtt://127.0.0.1:{port}"
    return start(
        "worker", "--broker", address, "--store", "memory:", "--http-port", "0", "--json", *more, env=SHARE
    )


def page(process: Ringline, path: str) -> tuple[int, str]:
    """The status and the body of a page of a process that has said where they are."""
    said = next(event for event in process.events if "http" in event)
    try:
        with urllib.request.urlopen(f"{said['http']}{path}", timeout=BOUND_S) as answer:  # noqa: S310 - it is http
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as failed:
        return failed.code, failed.read().decode()


def metrics(process: Ringline) -> dict[str, float]:
    """Samples without labels, and the sums of those with, by name."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page(process, "/metrics")[1]):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def families(process: Ringline) -> dict[str, str]:
    """The metrics of ours by name, as the documentation has them, each with its kind."""
    found = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(page(process, "/metrics")[1])
    }
    return {name: kind for name, kind in found.items() if name.startswith("ringline_")}


def test_every_metric_is_documented_and_nothing_else_is(start: Start, serve: Start, mosquitto: Mosquitto) -> None:
    server = serve("--memory", "--http-port", "0")
    beside = worker(start, mosquitto)
    beside.event("working")
    assert families(server) | families(beside) == documented()
    for process in (server, beside):
        assert page(process, "/healthz") == (200, '{"status": "ok"}\n')
        assert page(process, "/readyz") == (200, '{"status": "ready"}\n')


def test_what_happens_is_counted(start: Start, serve: Start) -> None:
    server = serve("--memory", "--http-port", "0")
    bob = start("listen", "--as", "bob", "--url", url_of(server))
    bob.line("connected as bob")
    done = Finished("invite", "bob", "--as", "alice", "--url", url_of(server))
    assert done.code == 0
    bob.line("ringing: alice invites you")
    found = metrics(server)
    assert found["ringline_invitations_open"] == 1
    assert found["ringline_broker_devices"] >= 1
    assert found["ringline_broker_connections_total"] >= 2
    assert found["ringline_request_seconds_count"] == found["ringline_requests_read_total"] >= 3
    assert found["ringline_store_seconds_count"] > 0
    assert "alice" not in page(server, "/metrics")[1]


def test_a_worker_is_ready_once_it_is_in_the_share(start: Start, tmp_path: Path) -> None:
    port, http = free_port(), free_port()
    waiting = worker(start, port, "--http-port", str(http))
    waiting.err_line("trying again")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{http}/readyz", timeout=BOUND_S)
    assert json.load(refused.value) == {"status": "not ready", "reason": "starting"}
    with Mosquitto(tmp_path, port=port) as broker:
        assert waiting.event("working")["http"] == f"http://127.0.0.1:{http}"
        assert page(waiting, "/readyz")[0] == 200
        broker.kill()
        waiting.err_line("connection to the broker .* lost")
        assert page(waiting, "/readyz") == (
            503, '{"status": "not ready", "reason": "there is no connection to the broker"}\n'
        )  # fmt: skip
        assert metrics(waiting)["ringline_ready"] == 0
        assert page(waiting, "/healthz")[0] == 200
    assert waiting.interrupt() == 0


def test_it_is_closed_unless_asked_for(serve: Start) -> None:
    assert serve("--memory").event("listening")["http"] is None


def test_one_that_others_can_reach_is_said_so(serve: Start) -> None:
    server = serve("--memory", "--http-port", "0", "--http-host", "0.0.0.0")  # noqa: S104 - that is what is said
    assert "can be reached from other machines" in server.err_line("--http-host 0.0.0.0")


def test_a_port_that_is_taken(start: Start, mosquitto: Mosquitto) -> None:
    taken = str(mosquitto.port)
    done = Finished("serve", "--port", "0", "--memory", "--http-port", taken)
    assert done.code == 1
    assert done.err == [f"port {taken} on 127.0.0.1 is in use by another program; choose another with --http-port"]
    beside = worker(start, mosquitto, "--http-port", taken)
    assert beside.end() == 1
    assert beside.err == done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("serve", "--http-port", "70000"), "--http-port must be 0 to 65535, not 70000"),
        (("worker", "--share", "x", "--http-port", "-1"), "--http-port must be 0 to 65535, not -1"),
        (("serve", "--port", "1999", "--http-port", "1999"), "--port 1999 is given to another listener too"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], says: str) -> None:
    done = Finished(*arguments)
    assert done.code == 2
    assert says in "\n".join(done.err)


class Asker:
    """A device that asks without ever repeating, a few questions at a time.

    Args:
        port: the broker's.
        total: how many questions.
        at_once: how many of them may be unanswered.
    """

    def __init__(self, port: int, total: int, at_once: int) -> None:
        self._left = [new_id() for _ in range(total)]
        self._at_once = at_once
        self._unanswered: set[bytes] = set()
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._count = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.username_pw_set("ann")
        self._client.on_message = self._heard
        self._client.on_subscribe = lambda *_: self._begin()
        self._client.max_inflight_messages_set(1_000)
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(TOPICS.answers("ann", "d"), 1)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(self, count: int) -> None:
        """Until so many have been answered."""
        while self._count < count:
            try:
                self._unanswered.discard(self._answers.get(timeout=WITHIN_S))
            except queue.Empty:
                raise AssertionError(f"{len(self._unanswered)} requests were never answered") from None
            self._count += 1

    def _begin(self) -> None:
        for _ in range(self._at_once):
            self._ask()

    def _ask(self) -> None:
        if not self._left:
            return
        re = self._left.pop()
        self._unanswered.add(re)
        self._client.publish(TOPICS.requests("ann"), encode_request(Get(id=re, dev="d", iid="nothing")), 1)

    def _heard(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._answers.put(decode_answer(bytes(message.payload)).re)
        self._ask()


def test_sigterm_under_load_loses_nothing(start: Start, mosquitto: Mosquitto) -> None:
    with Tunnel(mosquitto.port) as way:
        leaving, staying = (worker(start, port, "--request-rate", "0") for port in (way.port, mosquitto.port))
        for one in (leaving, staying):
            one.event("working")
        asker = Asker(mosquitto.port, total=2_000, at_once=400)
        try:
            asker.wait_for(500)
            way.hold()  # so that the broker goes on to send it requests for a while
            leaving.signal(signal.SIGTERM)
            asker.wait_for(501)  # of the last that were asked, most may be held
            way.mend()
            asker.wait_for(2_000)
        finally:
            asker.close()
        assert leaving.end() == 0
    assert 0 < metrics(staying)["ringline_requests_read_total"] < 2_000, "both had some of them"
