"""The event loop of a process that serves: which it is, and how it ends."""

import asyncio
import contextlib
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, Final

_STOP_WITHIN_S: Final = 8.0


def fastest_loop() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        loop: type[asyncio.AbstractEventLoop] = import_module("uvloop").Loop
    except ImportError:
        return None
    return loop


async def stop_in_time(stopping: Coroutine[Any, Any, None]) -> None:
    """Wait for a server to stop, but not for ever: what was answered is in the store; nothing is lost by leaving."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping, _STOP_WITHIN_S)
