"""How things stand with a service and its store, for whoever looks at a process from outside."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from ringline_broker.service.ports import Store, StoreUnavailable
from ringline_broker.service.service import Service
from ringline_broker.service.watch import WITHIN_S


async def standing_of(service: Service, store: Store) -> dict[str, int]:
    """How things stand.

    - requests_waiting: requests that wait for their turn
    - invitations_open: open invitations in the store; left out where it does not say within a second
    """
    standing = {"requests_waiting": service.waiting}
    with suppress(StoreUnavailable, TimeoutError):
        standing["invitations_open"] = await asyncio.wait_for(store.count_open(), WITHIN_S)
    return standing


def prefixed(word: str, numbers: Mapping[str, int]) -> dict[str, int]:
    """The same numbers, their names beginning with the word."""
    return {f"{word}_{name}": number for name, number in numbers.items()}
