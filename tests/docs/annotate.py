"""Prints a payload in hex, each piece with what it means."""

import json
from typing import Final

from tests.vectors.second_decoder import decode, head

_WRAP: Final = 24
"""Bytes on one line."""


def annotate(payload: bytes, *, in_full: bool) -> str:
    """The payload, a line for every value; `in_full`: a line for every key too."""
    lines = _Annotator(payload, in_full=in_full).lines
    width = max(len(hexes) for hexes, _ in lines) + 3
    return "\n".join(f"{hexes:<{width}}{meaning}".rstrip() for hexes, meaning in lines)


class _Annotator:
    def __init__(self, payload: bytes, *, in_full: bool) -> None:
        self._payload = payload
        self._in_full = in_full
        self._at = 0
        self._from = 0
        self.lines: list[tuple[str, str]] = []
        self._value(0)

    def _value(self, depth: int, name: str = "") -> None:
        kind, size, end = head(self._payload, self._at)
        if kind == "map":
            self._put(end, depth, f"{name}map, {size} {'pair' if size == 1 else 'pairs'}")
            for _ in range(size):
                self._pair(depth + 1)
        elif kind == "array":
            self._put(end, depth, f"{name}array, {size} {'entry' if size == 1 else 'entries'}")
            for _ in range(size):
                self._value(depth + 1)
        else:
            self._put(end + (size if kind in ("str", "bin") else 0), depth, name + self._say(kind))

    def _pair(self, depth: int) -> None:
        if self._in_full:
            self._value(depth)
            self._value(depth + 1)
            return
        _, size, end = head(self._payload, self._at)
        self._at = end + size  # the key stands on its value's line
        self._value(depth, f"{self._payload[end : self._at].decode()}: ")

    def _say(self, kind: str) -> str:
        _, size, end = head(self._payload, self._at)
        if kind not in ("str", "bin"):
            return json.dumps(decode(self._payload[self._at : end]))
        raw = self._payload[end : end + size]
        text = raw.hex() if kind == "bin" else json.dumps(raw.decode(), ensure_ascii=False)
        return f"{kind} of {size}: {text}" if self._in_full else text

    def _put(self, end: int, depth: int, meaning: str) -> None:
        """A line for everything up to `end`; where it is long, several."""
        chunk = self._payload[self._from : end]
        for at in range(0, len(chunk), _WRAP):
            self.lines.append(("  " * depth + chunk[at : at + _WRAP].hex(" "), "" if at else meaning))
        self._at = self._from = end
