"""A reading as Prometheus wants it. Every label has a few values, all of them ours: no stranger can make a series."""

import inspect
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from itertools import accumulate
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from ringline_broker.metrics import SECONDS, Histogram, Reading

GAUGES: Final = {
    "requests_waiting": "Requests that wait for their turn.",
    "invitations_open": "Open invitations in the store; those of all workers that share it.",
    "ready": "Whether requests are taken: 1 or 0.",
    "link_waiting": "Messages that wait to be sent to the broker.",
    "link_in_flight": "Messages sent to the broker and not acknowledged.",
    "link_unsettled": "Requests taken from the broker and not acknowledged.",
    "link_connected": "Whether there is a connection to the broker: 1 or 0.",
    "link_sharing": "Whether this worker is in the share: 1 or 0.",
    "link_paused": "Whether this worker left the share because its store did not answer: 1 or 0.",
    "broker_devices": "Connections that are logged in.",
    "broker_logging_in": "Connections that are not logged in yet.",
}
"""What each gauge tells."""
HISTOGRAMS: Final = {
    "request_seconds": "From when a request was read to the end of its turn, when it is answered and published.",
    "timer_lag_seconds": "From a deadline to the turn that decided it.",
    "publish_seconds": "From when a message was published to when the broker acknowledged it; every eighth.",
}
"""What each histogram tells."""
LOST: Final = ("refused", "overflowed", "expired", "abandoned")
"""The counters of a link that say why a message was not published."""
_RENAMED: Final = {"requests": "requests_read"}
"""The other name has labels."""
_BOUNDS: Final = [*map(floatToGoString, SECONDS), "+Inf"]
_ATTRIBUTE: Final = re.compile(r"    (\w+): (.+)")
_CONTINUED: Final = re.compile(r"        (\S.*)")


def families(reading: Reading) -> Iterator[Metric]:
    """All metrics of a reading."""
    metrics = reading.metrics
    yield _labelled(
        "requests", "Requests dealt with.", ("operation", "result", "error"), list(metrics.requests.items())
    )
    yield from _counters("", metrics.counters)
    found = {
        "request_seconds": metrics.request_seconds,
        "timer_lag_seconds": metrics.timer_lag_seconds,
        **reading.histograms,
    }
    for name, histogram in found.items():
        yield _histogram(name, HISTOGRAMS[name], [((), histogram)])
    if metrics.store_seconds:
        took = [((operation,), histogram) for operation, histogram in metrics.store_seconds.items()]
        yield _histogram("store_seconds", "How long the store took.", took, ("operation",))
        failures = [((operation,), metrics.store_failures.get(operation, 0)) for operation in metrics.store_seconds]
        yield _labelled("store_failures", "Calls of the store that failed.", ("operation",), failures)
    for word, counters in reading.counters.items():
        lost = [((reason,), getattr(counters, reason)) for reason in LOST] if word == "link" else []
        yield from _counters(f"{word}_", counters, {reason for (reason,), _ in lost})
        if lost:
            yield _labelled("publish_failures", "Messages that were not published.", ("reason",), lost)
    for name, number in reading.gauges.items():
        yield GaugeMetricFamily(f"ringline_{name}", GAUGES[name], number)


def _counters(prefix: str, counters: Any, without: Collection[str] = ()) -> Iterator[Metric]:  # noqa: ANN401 - a dataclass
    told = _told(type(counters))
    for name, number in asdict(counters).items():
        if name not in without:
            yield CounterMetricFamily(f"ringline_{_RENAMED.get(prefix + name, prefix + name)}", told[name], number)


def _told(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of its attributes; nothing where Python was told to leave docstrings out."""
    found: dict[str, str] = defaultdict(str)
    last = ""
    for line in inspect.cleandoc(kind.__doc__ or "").splitlines():
        if begun := _ATTRIBUTE.fullmatch(line):
            last = begun[1]
            found[last] = begun[2]
        elif last and (more := _CONTINUED.fullmatch(line)):
            found[last] += f" {more[1]}"
    found |= {name: text[0].upper() + text[1:] for name, text in found.items()}
    return found


def _labelled(
    name: str, text: str, labels: tuple[str, ...], numbers: Iterable[tuple[tuple[str, ...], int]]
) -> Metric:
    family = CounterMetricFamily(f"ringline_{name}", text, labels=labels)
    for values, number in numbers:
        family.add_metric(values, number)
    return family


def _histogram(
    name: str, text: str, histograms: Iterable[tuple[tuple[str, ...], Histogram]], labels: tuple[str, ...] = ()
) -> Metric:
    family = HistogramMetricFamily(f"ringline_{name}", text, labels=labels)
    for values, histogram in histograms:
        buckets = list(zip(_BOUNDS, accumulate(histogram.counts), strict=True))
        family.add_metric(values, buckets, histogram.total)
    return family
