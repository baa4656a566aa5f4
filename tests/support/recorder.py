"""A listener that remembers, and that tests can wait on."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ringline.group_listener import GroupListener
from ringline.listener import SignalingListener
from tests.support.bound import BOUND_S

Heard = tuple[str, Any]
"""A callback's name without its `on_`, and its event."""


class Recorder(SignalingListener, GroupListener):
    """Remembers every callback in order, those of groups too."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heard: list[Heard] = []
        self.reactions: dict[str, Callable[[Any], object]] = {}

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return object.__getattribute__(self, name)
        return lambda event: self._note(name.removeprefix("on_"), event)

    def _note(self, name: str, event: Any) -> None:
        with self._changed:
            self._heard.append((name, event))
            self._changed.notify_all()
        reaction = self.reactions.get(name)
        if reaction is not None:
            reaction(event)

    def react(self, name: str, reaction: Callable[[Any], object]) -> None:
        """Do something on the callback's thread whenever it comes."""
        self.reactions[name] = reaction

    @property
    def all(self) -> list[Heard]:
        with self._changed:
            return list(self._heard)

    def names(self, invite_id: str | None = None) -> list[str]:
        """The callbacks so far, of one invitation or of all; connecting is not among them."""
        return [
            name
            for name, event in self.all
            if name not in ("connected", "disconnected") and (invite_id is None or _is_of(event, invite_id=invite_id))
        ]

    def group_names(self, group_id: str) -> list[str]:
        """The callbacks of a group so far; those of invitations made in it are not among them."""
        return [name for name, event in self.all if _is_of(event, group_id=group_id, invite_id=None)]

    def events(self, name: str, **wanted: Any) -> list[Any]:
        """The events of one callback with these attributes."""
        return [event for heard, event in self.all if heard == name and _fits(event, wanted)]

    def wait(self, name: str, bound_s: float = BOUND_S, count: int = 1, **wanted: Any) -> Any:
        """Wait for a callback with these attributes; the latest of `count`. Fails with all that came instead."""
        end = time.monotonic() + bound_s
        with self._changed:
            while True:
                found = [event for heard, event in self._heard if heard == name and _fits(event, wanted)]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {name} {wanted} within {bound_s} s; heard: {self._heard}")
                self._changed.wait(left)

    def assert_nothing_twice(self) -> None:
        """No callback of an invitation or a group came twice with the same content."""
        repeatable = ("connected", "disconnected", "invitee_ringing")
        seen = Counter((name, repr(event)) for name, event in self.all if name not in repeatable)
        twice = [what for what, count in seen.items() if count > 1]
        assert not twice, twice


def _is_of(event: Any, **wanted: str | None) -> bool:
    return all(getattr(event, key, None) == value for key, value in wanted.items())


def _fits(event: Any, wanted: dict[str, Any]) -> bool:
    return all(getattr(event, key) == value for key, value in wanted.items())
