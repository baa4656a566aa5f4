"""The pages: /metrics for Prometheus, /healthz and /readyz for whoever restarts processes and sends them work."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final, Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ringline import __version__
from ringline_broker.metrics import Reading
from ringline_broker.monitoring.families import GAUGES, families
from ringline_broker.monitoring.loop import LoopView

log = logging.getLogger(__name__)

STILL_S: Final = 10.0
"""Seconds without a move after which an event loop is taken for dead."""
Page = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class Source(Protocol):
    """What is shown: a server or a worker."""

    async def reading(self) -> Reading:
        """What was counted since the start, and how things stand."""
        ...

    async def unready(self) -> str:
        """Why requests are not taken just now; empty where they are."""
        ...


class Pages:
    """A WSGI application, which is called on threads of its own.

    Args:
        source: what is shown.
        loop: the event loop that the source lives on.
    """

    def __init__(self, source: Source, loop: LoopView) -> None:
        self._source = source
        self._loop = loop
        self._registry = CollectorRegistry()
        self._registry.register(_Metrics(source, loop))
        ProcessCollector(registry=self._registry)
        self._pages: Final[dict[str, Page]] = {
            "/metrics": self._metrics,
            "/healthz": self._health,
            "/readyz": self._readiness,
        }

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        body = self._answer(environ, start)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        page = self._pages.get(environ["PATH_INFO"])
        if page is None:
            return _say(start, HTTPStatus.NOT_FOUND, "not found", pages=[*self._pages])
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _say(start, HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        try:
            return page(environ, start)
        except TimeoutError as failed:
            return _say(start, HTTPStatus.SERVICE_UNAVAILABLE, "stuck", reason=str(failed))
        except Exception:
            log.exception("cannot show %s", environ["PATH_INFO"])
            return _say(start, HTTPStatus.INTERNAL_SERVER_ERROR, "failed", reason="see the log")

    def _metrics(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        encode, kind = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return _send(start, HTTPStatus.OK, kind, encode(self._registry))

    def _health(self, _: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        still_s = self._loop.still_s
        if still_s < STILL_S:
            return _say(start, HTTPStatus.OK, "ok")
        reason = f"the event loop has not moved for {still_s:.0f} s"
        return _say(start, HTTPStatus.SERVICE_UNAVAILABLE, "stuck", reason=reason)

    def _readiness(self, _: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if reason := self._loop.ask(self._source.unready()):
            return _say(start, HTTPStatus.SERVICE_UNAVAILABLE, "not ready", reason=reason)
        return _say(start, HTTPStatus.OK, "ready")


class _Metrics(Collector):
    """Reads when it is asked. On the loop, since nothing else may look at what lives there."""

    def __init__(self, source: Source, loop: LoopView) -> None:
        self._source = source
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        """All metrics of ours."""
        yield InfoMetricFamily("ringline", "Which Ringline it is.", {"version": __version__})
        yield from self._loop.ask(self._read())

    async def _read(self) -> list[Metric]:
        ready = GaugeMetricFamily("ringline_ready", GAUGES["ready"], int(not await self._source.unready()))
        return [ready, *families(await self._source.reading())]


def _say(start: StartResponse, status: HTTPStatus, word: str, **more: object) -> Iterable[bytes]:
    """Answer in JSON."""
    return _send(start, status, "application/json", json.dumps({"status": word, **more}).encode() + b"\n")


def _send(start: StartResponse, status: HTTPStatus, kind: str, body: bytes) -> Iterable[bytes]:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD"))
    start(f"{status.value} {status.phrase}", headers)
    return [body]
