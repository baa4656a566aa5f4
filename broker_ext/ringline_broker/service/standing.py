"""How things stand with a service and its store, for whoever looks at a process from outside."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from ringline_broker.service.ports import Store, StoreUnavailable
from ringline_broker.service.service import Service

_WITHIN_S: Final = 1.0
"""A store that takes longer is as good as gone."""


async def standing_of(service: Service, store: Store) -> dict[str, int]:
    """How things stand.

    - requests_waiting: requests that wait for their turn
    - invitations_open: open invitations in the store; left out where it does not say within a second
    """
    standing = {"requests_waiting": service.waiting}
    with suppress(StoreUnavailable, TimeoutError):
        standing["invitations_open"] = await asyncio.wait_for(store.count_open(), _WITHIN_S)
    return standing


async def store_fault(store: Store) -> str:
    """Why the store cannot be used just now; empty where it answers within a second."""
    try:
        await asyncio.wait_for(store.next_due(), _WITHIN_S)
    except StoreUnavailable as failed:
        return f"the store does not answer: {failed}"
    except TimeoutError:
        return f"the store does not answer: nothing within {_WITHIN_S:.0f} s"
    return ""


def prefixed(word: str, numbers: Mapping[str, int]) -> dict[str, int]:
    """The same numbers, their names beginning with the word."""
    return {f"{word}_{name}": number for name, number in numbers.items()}
