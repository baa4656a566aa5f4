"""Numbers as Prometheus has them."""

from dataclasses import fields

from prometheus_client.core import Metric

from ringline_broker.bindings.amqtt.counters import BrokerCounters
from ringline_broker.bindings.mqtt5.counters import LinkCounters
from ringline_broker.metrics import SECONDS, Counters, Histogram, Metrics, Reading
from ringline_broker.monitoring.families import LOST, families


def shown(reading: Reading) -> dict[str, Metric]:
    return {metric.name: metric for metric in families(reading)}


def values(metric: Metric) -> dict[tuple[str, ...], float]:
    """By what tells the samples apart."""
    return {(sample.name.removeprefix(metric.name), *sample.labels.values()): sample.value for sample in metric.samples}


def test_every_counter_is_shown_with_what_it_means() -> None:
    metrics = shown(Reading(Metrics(), {"link": LinkCounters(), "broker": BrokerCounters()}))
    wanted = {f"ringline_{one.name}" for one in fields(Counters)} - {"ringline_requests"} | {"ringline_requests_read"}
    wanted |= {f"ringline_link_{one.name}" for one in fields(LinkCounters) if one.name not in LOST}
    wanted |= {f"ringline_broker_{one.name}" for one in fields(BrokerCounters)}
    assert wanted <= set(metrics)
    assert all(metric.documentation for metric in metrics.values())
    assert metrics["ringline_failed_turns"].documentation.startswith("Batches that a fault")


def test_numbers_are_those_counted() -> None:
    counted = Metrics()
    counted.counters.requests = 7
    counted.requests["invite", "refused", "too_large"] += 3
    link = LinkCounters(connects=2, overflowed=5)
    metrics = shown(Reading(counted, {"link": link}, {"link_sharing": 1}))
    assert values(metrics["ringline_requests_read"]) == {("_total",): 7}
    assert values(metrics["ringline_requests"]) == {("_total", "invite", "refused", "too_large"): 3}
    assert values(metrics["ringline_link_connects"]) == {("_total",): 2}
    assert values(metrics["ringline_publish_failures"])["_total", "overflowed"] == 5
    assert set(values(metrics["ringline_publish_failures"])) == {("_total", reason) for reason in LOST}
    assert values(metrics["ringline_link_sharing"]) == {("",): 1}


def test_a_histogram_counts_what_is_at_most_as_long() -> None:
    counted = Metrics()
    for seconds in (-1.0, 0.0005, 0.002, 0.0025, 99.0):
        counted.request_seconds.observe(seconds)
    found = values(shown(Reading(counted))["ringline_request_seconds"])
    assert [found["_bucket", le] for le in ("0.0005", "0.001", "0.0025", "30.0", "+Inf")] == [2, 2, 4, 4, 5]
    assert found["_count",] == 5
    assert found["_sum",] == 0.0005 + 0.002 + 0.0025 + 99


def test_deadlines_are_timed_where_there_was_one() -> None:
    counted = Metrics()
    counted.deadline_came(None, 5_000)
    counted.deadline_came(3_500, 5_000)
    assert counted.counters.deadlines == 2
    assert counted.timer_lag_seconds.counts[SECONDS.index(2.5)] == 1
    assert sum(counted.timer_lag_seconds.counts) == 1


def test_other_durations_are_shown_too() -> None:
    publish = Histogram()
    publish.observe(0.2)
    metrics = shown(Reading(Metrics(), histograms={"publish_seconds": publish}))
    assert values(metrics["ringline_publish_seconds"])["_sum",] == 0.2
    assert "ringline_store_seconds" not in metrics, "nobody timed the store"
