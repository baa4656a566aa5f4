"""Writes the generated parts of docs/protocol.md and docs/scaling.md anew: `python -m tests.docs.generate`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.docs import callbacks, exchange, group_callbacks, group_tables, rules, scaling, tables

PAGE: Final = Path(__file__).parents[2] / "docs" / "protocol.md"

SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "requests": tables.requests,
    "blocklist-requests": tables.blocklist_requests,
    "events": tables.events,
    "answers": tables.answers,
    "rules": rules.rules,
    "states": rules.diagram,
    "group-requests": group_tables.requests,
    "group-permissions": group_tables.permissions,
    "group-events": group_tables.events,
    "group-answers": group_tables.answers,
    "group-callbacks": group_callbacks.callbacks,
    "group-limits": group_tables.sizes,
    "callbacks": callbacks.callbacks,
    "errors": tables.errors,
    "reasons": tables.reasons,
    "limits": tables.sizes,
    "times": tables.times,
    "exchange": exchange.exchange,
}
_PART: Final = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)


def names(page: str) -> list[str]:
    """The generated parts that a page has."""
    return [part[1] for part in _PART.finditer(page)]


def filled(page: str, sections: Mapping[str, Callable[[], str]] = SECTIONS) -> str:
    """The page with every generated part as the code has it."""
    return _PART.sub(lambda part: f"<!-- generated: {part[1]} -->\n\n{sections[part[1]]()}\n\n<!-- end -->", page)


if __name__ == "__main__":
    for file, sections in ((PAGE, SECTIONS), (scaling.PAGE, scaling.SECTIONS)):
        file.write_text(filled(file.read_text(encoding="utf-8"), sections), encoding="utf-8")
