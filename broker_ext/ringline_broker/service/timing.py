"""How long a store takes: for a process that shows it."""

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ringline_broker.metrics import Histogram, Metrics
from ringline_broker.service.ports import Store

S = TypeVar("S", bound=Store)

TIMED: Final = tuple(name for name, _ in inspect.getmembers(Store, inspect.iscoroutinefunction) if name != "close")
"""The methods of a store that are timed."""


def time_store(store: S, metrics: Metrics) -> S:
    """The same store, which from now on has it counted how long its methods take, and how often they fail.

    Its methods are replaced one by one, so that this need not know what they are given, and a store that nobody times
    pays nothing.
    """
    for name in TIMED:
        took, failures = metrics.store_seconds[name], metrics.store_failures
        setattr(store, name, _timed(name, getattr(store, name), took, failures))
    return store


def _timed(
    name: str, method: Callable[..., Awaitable[Any]], took: Histogram, failures: dict[str, int]
) -> Callable[..., Awaitable[Any]]:
    async def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the method takes and returns
        began = time.perf_counter()
        try:
            return await method(*args, **kwargs)
        except Exception:
            failures[name] += 1
            raise
        finally:
            took.observe(time.perf_counter() - began)

    return timed
