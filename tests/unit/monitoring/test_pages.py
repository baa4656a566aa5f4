"""The three pages, and what they say when something is wrong."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringline_broker.metrics import Metrics, Reading
from ringline_broker.monitoring.loop import LoopView
from ringline_broker.monitoring.pages import Pages
from tests.support.bound import BOUND_S
from tests.support.running import LoopThread


@dataclass
class Someone:
    """A source."""

    why: str = ""
    fails: bool = False
    metrics: Metrics = field(default_factory=Metrics)

    async def reading(self) -> Reading:
        if self.fails:
            raise RuntimeError("a fault of ours")
        return Reading(self.metrics)

    async def unready(self) -> str:
        return self.why


class Stage:
    """Pages of a source, on a loop of its own, with a clock that a test moves."""

    def __init__(self) -> None:
        self.thread = LoopThread()
        self.source = Someone()
        self.now_s = 100.0
        self.view = self.thread.call(lambda: LoopView(lambda: self.now_s, answer_s=0.2))
        self.pages = Pages(self.source, self.view)

    def get(self, path: str, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
            told.extend((status, dict(headers)))
            return bytes

        body = self.pages(environ | {"PATH_INFO": path, "REQUEST_METHOD": method}, start)
        return told[0], told[1], b"".join(body)

    def said(self, path: str, method: str = "GET") -> tuple[str, dict[str, Any]]:
        status, _, body = self.get(path, method)
        return status[:3], json.loads(body)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.thread.call(stage.view.close)
    stage.thread.close()


def stuck(stage: Stage) -> Callable[[], None]:
    """Have the loop stand still until what is returned is called."""
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go.wait(BOUND_S)

    stage.thread.loop.call_soon_threadsafe(hold)
    assert held.wait(BOUND_S)
    return go.set


def test_all_is_well(stage: Stage) -> None:
    stage.source.metrics.requests["invite", "ok", ""] += 2
    assert stage.said("/healthz") == ("200", {"status": "ok"})
    assert stage.said("/readyz") == ("200", {"status": "ready"})
    status, headers, body = stage.get("/metrics")
    assert (status, headers["Content-Type"][:10]) == ("200 OK", "text/plain")
    families = text_string_to_metric_families(body.decode())
    found = {sample.name: sample.value for one in families for sample in one.samples}
    assert (found["ringline_ready"], found["ringline_requests_total"]) == (1, 2)
    assert found["process_cpu_seconds_total"] > 0


def test_not_ready_says_why(stage: Stage) -> None:
    stage.source.why = "draining"
    assert stage.said("/readyz") == ("503", {"status": "not ready", "reason": "draining"})
    assert stage.said("/healthz")[0] == "200"
    assert b"ringline_ready 0.0" in stage.get("/metrics")[2]


def test_a_loop_that_stands_still_is_seen_from_outside(stage: Stage) -> None:
    go_on = stuck(stage)
    try:
        stage.now_s += 9.9
        assert stage.said("/healthz") == ("200", {"status": "ok"})
        stage.now_s += 0.2
        assert stage.said("/healthz") == (
            "503", {"status": "stuck", "reason": "the event loop has not moved for 10 s"}
        )  # fmt: skip
        late = ("503", {"status": "stuck", "reason": "the event loop did not answer within 0.2 s"})
        assert stage.said("/readyz") == late
        assert stage.said("/metrics") == late
    finally:
        go_on()


def test_a_loop_that_moves_is_seen_to(stage: Stage) -> None:
    stage.now_s += 1_000

    async def beaten() -> None:
        stage.view._next.cancel()
        stage.view._beat()

    stage.thread.run(beaten())
    assert stage.said("/healthz")[0] == "200"


def test_other_pages_and_other_methods(stage: Stage) -> None:
    assert stage.said("/")[0] == "404"
    assert stage.said("/metrics/") == (
        "404", {"status": "not found", "pages": ["/metrics", "/healthz", "/readyz"]}
    )  # fmt: skip
    assert stage.said("/nothing", "POST")[0] == "404"
    status, headers, _ = stage.get("/readyz", "POST")
    assert (status[:3], headers["Allow"]) == ("405", "GET, HEAD")
    assert stage.get("/metrics", "DELETE")[0][:3] == "405"


def test_head_is_get_without_its_body(stage: Stage) -> None:
    for path in ("/healthz", "/readyz", "/nothing"):
        _, wanted, body = stage.get(path)
        status, headers, nothing = stage.get(path, "HEAD")
        assert (headers, nothing) == (wanted, b"")
        assert headers["Content-Length"] == str(len(body))
        assert status == stage.get(path)[0]


def test_a_fault_of_ours_is_no_page(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.source.fails = True
    assert stage.said("/metrics") == ("500", {"status": "failed", "reason": "see the log"})
    assert "a fault of ours" in caplog.text


def test_it_beats_by_itself(stage: Stage) -> None:
    beaten = threading.Event()

    def watch() -> None:
        seen = stage.view._beat
        stage.view._next.cancel()

        def beat() -> None:
            seen()
            beaten.set()

        stage.view._next = asyncio.get_running_loop().call_later(0, beat)

    stage.thread.call(watch)
    assert beaten.wait(BOUND_S)
    assert not stage.thread.call(stage.view._next.cancelled)
