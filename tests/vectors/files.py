"""Reads the vectors, whose format README.md tells."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
GOOD_FILES = ("good_requests", "good_events", "good_answers", "good_group_requests", "good_group_events")
"""What has to be understood."""


def octets(notation: str) -> bytes:
    """The bytes that `a1b2 00*3` stands for: pieces of hex, each once or as often as is said."""
    pieces = (piece.partition("*") for piece in notation.split())
    return b"".join(bytes.fromhex(hexes) * int(count or 1) for hexes, _, count in pieces)


def load(name: str) -> list[dict[str, Any]]:
    """The vectors of one file, with every `hex` in plain hex."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    vectors: list[dict[str, Any]] = _plain(json.loads(text))
    return vectors


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: octets(one).hex() if key == "hex" else _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
