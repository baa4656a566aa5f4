"""VerneMQ's vmq.acl, evaluated as VerneMQ 2.1.2 does it: vmq_acl and vmq_topic."""

from dataclasses import dataclass
from typing import Final

from tests.deploy.matching import covers

_EVERYBODY: Final = "all"


@dataclass(frozen=True, slots=True)
class VernemqRules:
    """The lines of a file: what one of them grants is granted, nothing else is.

    Raises:
        ValueError: (from `parse`) VerneMQ would not know a line.
    """

    lines: tuple[tuple[str, str | None, str], ...]
    """Whether it is about `read` or `write`, whose it is (None for a pattern), and the topic."""

    @classmethod
    def parse(cls, text: str) -> "VernemqRules":
        found: list[tuple[str, str | None, str]] = []
        user = _EVERYBODY
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if not line or line.startswith("#"):
                continue
            if kind == "user":
                user = rest.strip()
            elif kind in ("topic", "pattern"):
                found += [(access, None if kind == "pattern" else user, topic) for access, topic in _granted(rest)]
            else:
                raise ValueError(f"VerneMQ knows no such line: {line!r}")
        return cls(tuple(found))

    def may_publish(self, user: str, topic: str, *, retain: bool = False) -> bool:
        """Retained messages cannot be refused here; see the README what comes of them."""
        return not retain and self._is_granted("write", user, topic)

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        if topic_filter.startswith("$share/") and topic_filter.count("/") < 2:
            return False
        return self._is_granted("read", user, topic_filter)

    def may_receive(self, user: str, topic: str) -> bool:  # noqa: ARG002 - it asks when one subscribes, and then no more
        return True

    def _is_granted(self, access: str, user: str, topic: str) -> bool:
        words = topic.split("/")
        for allowed, owner, wanted in self.lines:
            if allowed == access and owner in (None, user, _EVERYBODY):
                rule = [user if owner is None and word == "%u" else word for word in wanted.split("/")]
                if covers(rule, words):
                    return True
        return False


def _granted(rest: str) -> list[tuple[str, str]]:
    access, _, topic = rest.partition(" ")
    if access in ("read", "write"):
        return [(access, topic.strip())]
    return [(both, rest.strip()) for both in ("read", "write")]
