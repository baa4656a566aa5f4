"""The tables of metrics in docs/operations.md."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
_ROW: Final = re.compile(r"^\| `(ringline_\w+)`(?: \{[^}]*\})? \| (\w+) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    """The metrics by name, each with its kind."""
    rows = _ROW.findall((ROOT / "docs/operations.md").read_text())
    assert len(rows) == len(dict(rows)), "a metric stands there twice"
    return dict(rows)
