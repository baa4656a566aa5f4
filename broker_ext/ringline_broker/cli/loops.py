"""Which event loop a server runs on."""

import asyncio
from importlib import import_module


def fastest_loop() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        loop: type[asyncio.AbstractEventLoop] = import_module("uvloop").Loop
    except ImportError:
        return None
    return loop
