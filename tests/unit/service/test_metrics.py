"""What is counted of requests, deadlines and the store, and that no stranger can make it more than it is."""

import logging

import msgpack
import pytest

from ringline.protocol.requests import REQUESTS, Invite, Sync
from ringline_broker.metrics import SECONDS, Histogram, Metrics
from ringline_broker.service import replies
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.service.timing import TIMED, time_store
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock
from tests.support.turns import let_run
from tests.unit.engine.play import accept, invite, new_id, reject
from tests.unit.service.bench import Bench, run


def bucket(histogram: Histogram) -> float:
    """The bound that the only one observed is below."""
    (at,) = [at for at, count in enumerate(histogram.counts) if count]
    return (*SECONDS, float("inf"))[at]


def test_requests_are_counted_by_operation_and_result() -> None:
    async def main() -> None:
        async with Bench() as bench:
            ring = invite("ben", iid="i1")
            yes = accept(iid="i1")
            await bench.ask("ann", ring)
            await bench.ask("ann", ring)
            await bench.ask("ben", yes)
            await bench.ask("ben", yes)
            await bench.ask("cas", reject(iid="i1"))
            await bench.ask("cas", reject(iid="i2"))
            await bench.sync("ann")
            bench.store.down = {"load"}
            await bench.ask("ann", invite("ben", iid="i3"))
            assert dict(bench.service.metrics.requests) == {
                ("invite", "ok", ""): 1,
                ("invite", "repeated", ""): 1,
                ("accept", "ok", ""): 1,
                ("accept", "repeated", ""): 1,
                ("reject", "refused", "not_permitted"): 1,
                ("reject", "refused", "unknown_invitation"): 1,
                ("sync", "ok", ""): 1,
                ("invite", "unavailable", "server_unavailable"): 1,
            }
            assert bench.service.counters.repeats == 2

    run(main)


def test_nobody_can_make_up_an_operation() -> None:
    async def main() -> None:
        async with Bench() as bench:
            for number in range(300):
                head = {"id": new_id(), "dev": f"d{number}"}
                bench.take_raw(f"user{number}", msgpack.packb({**head, "op": f"made up {number}"}))
                bench.take_raw(f"user{number}", msgpack.packb({"op": f"made up {number}"}))
                bench.take_raw(f"user{number}", msgpack.packb({**head, "op": "accept", "iid": f"i{number}"}))
            await let_run()
            assert dict(bench.service.metrics.requests) == {
                ("unknown", "refused", "bad_parameter"): 300,
                ("unknown", "unreadable", "bad_parameter"): 300,
                ("accept", "refused", "unknown_invitation"): 300,
            }
            assert "unknown" not in REQUESTS

    run(main)


def test_who_asks_too_fast_is_counted_as_refused() -> None:
    async def main() -> None:
        async with Bench(request_rate=1, request_burst=1) as bench:
            await bench.ask("ann", invite("ben"), Invite(id=new_id(), dev="d1", iid="i2", to=("ben",)))
            assert bench.service.metrics.requests["unknown", "refused", "too_many_requests"] == 1

    run(main)


def test_it_is_timed_from_when_a_request_was_read() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.take("ann", invite("ben"), bench.store.now() - 700)
            await let_run()
            assert bucket(bench.service.metrics.request_seconds) == 1.0
            assert bench.service.metrics.request_seconds.total == pytest.approx(0.7)

    run(main)


def test_a_deadline_that_waited_for_its_store_is_decided_late() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("ben", iid="i1", timeout=10))
            bench.store.down = {"claim_due"}
            bench.clock.advance(12_000)
            await let_run()
            assert sum(bench.service.metrics.timer_lag_seconds.counts) == 0
            bench.store.down = set()
            bench.clock.advance(5_000)
            await let_run()
            assert bench.broker.names("ben")[-1] == "timed_out"
            assert bucket(bench.service.metrics.timer_lag_seconds) == 10.0
            assert bench.service.metrics.timer_lag_seconds.total == pytest.approx(7)

    run(main)


def test_what_waits_for_its_turn_is_counted() -> None:
    async def main() -> None:
        bench = Bench()  # nobody takes a turn before it starts
        for user in ("ann", "ben", "ann"):
            bench.take(user, Sync(id=new_id(), dev="d1"))
        assert bench.service.waiting == 3
        async with bench:
            await let_run()
            assert bench.service.waiting == 0

    run(main)


def test_a_store_that_is_timed_does_what_it_did() -> None:
    async def main() -> None:
        metrics = Metrics()
        store = time_store(MemoryStore(ManualClock()), metrics)
        assert await store.load(["i1"]) == {}
        assert await store.of_user("ann", None, "", limit=10) == []
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.load(["i1"])
        assert sum(metrics.store_seconds["load"].counts) == 2
        assert sum(metrics.store_seconds["of_user"].counts) == 1
        assert dict(metrics.store_failures) == {"load": 1}
        assert set(metrics.store_seconds) == set(TIMED) >= {"load", "commit", "mark", "load_groups", "blocking"}

    run(main)


def test_a_line_about_each_request_says_who_and_what_but_never_the_content(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("ben", iid="i1", data=b"a secret"))
            await bench.ask("cas", reject(iid="i1", text="a secret"))
            bench.take_raw("dan", b"\xc1 a secret")
            await let_run()

    with caplog.at_level(logging.DEBUG, "ringline_broker"):
        run(main)
    lines = [(r.levelname, *(getattr(r, name, None) for name in ("user", "invite_id", "operation", "code")))
             for r in caplog.records if hasattr(r, "user")]  # fmt: skip
    assert lines == [
        ("DEBUG", "ann", "i1", "invite", None),
        ("DEBUG", "cas", "i1", "reject", 8011),
        ("WARNING", "dan", None, None, None),
        ("DEBUG", "dan", None, "unknown", 6017),
    ]
    assert "a secret" not in caplog.text


def test_no_line_about_requests_is_made_where_nobody_asked_for_them(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(replies, "_log", lambda *about: made.append(about))

    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("ben", iid="i1"))

    for level, lines in ((logging.INFO, 0), (logging.DEBUG, 1)):
        with caplog.at_level(level, "ringline_broker"):
            run(main)
        assert len(made) == lines
