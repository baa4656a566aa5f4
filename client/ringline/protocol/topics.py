"""The four topics, and what an id may look like.

| topic | who publishes | who subscribes |
|---|---|---|
| PREFIX/u/USER/req | that user | the extension |
| PREFIX/u/USER/evt | the extension | that user's devices |
| PREFIX/u/USER/d/DEVICE | the extension | that user's devices |
| PREFIX/g/GROUP/evt | the extension | the group's members |
"""

from dataclasses import dataclass
from typing import Final

DEFAULT_PREFIX: Final = "ringline/v1"
MAX_ID_BYTES: Final = 64
_FORBIDDEN: Final = frozenset("/+#") | {chr(c) for c in range(0x20)} | {chr(c) for c in range(0x7F, 0xA0)}


def id_fault(value: str) -> str | None:
    """Say what is wrong with a user, device, group or invitation id, or None where it is fine.

    An id is 1 to 64 bytes of UTF-8 without control characters and without `/`, `+` and `#` (MQTT 3.1.1 section
    4.7.1), not starting with `$` (section 4.7.2).
    """
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if not 1 <= size <= MAX_ID_BYTES:
        return f"must have 1 to {MAX_ID_BYTES} bytes, has {size}"
    if value[0] == "$":
        return "must not start with $"
    if not _FORBIDDEN.isdisjoint(value):
        return "must not contain / + # or control characters"
    return None


@dataclass(frozen=True, slots=True)
class Topics:
    """Builds and reads topics under one prefix."""

    prefix: str = DEFAULT_PREFIX

    def requests(self, user: str) -> str:
        """Where a user's devices publish requests."""
        return f"{self.prefix}/u/{user}/req"

    def events(self, user: str) -> str:
        """Where a user's devices hear events."""
        return f"{self.prefix}/u/{user}/evt"

    def answers(self, user: str, device: str) -> str:
        """Where one device of a user hears answers."""
        return f"{self.prefix}/u/{user}/d/{device}"

    def group_events(self, group: str) -> str:
        """Where a group's members hear events."""
        return f"{self.prefix}/g/{group}/evt"

    def group_of(self, topic: str) -> str | None:
        """The group whose event topic this is, or None where it is none."""
        head = f"{self.prefix}/g/"
        if not topic.startswith(head) or not topic.endswith("/evt"):
            return None
        group = topic[len(head) : -len("/evt")]
        return group if id_fault(group) is None else None

    def requester(self, topic: str) -> str | None:
        """The user whose request topic this is, or None where it is no request topic."""
        head = f"{self.prefix}/u/"
        if not topic.startswith(head) or not topic.endswith("/req"):
            return None
        user = topic[len(head) : -len("/req")]
        return user if id_fault(user) is None else None

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Whether a topic filter is one a user's devices always may have: their own events and answers, no wildcard.
        A group's events they may have as long as the user is a member.
        """
        if topic_filter == self.events(user):
            return True
        head = self.answers(user, "")
        return topic_filter.startswith(head) and id_fault(topic_filter[len(head) :]) is None
