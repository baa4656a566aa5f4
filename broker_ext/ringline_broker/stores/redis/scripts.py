"""The scripts that redis runs for the store: named files, called by their digest."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final, TypeAlias

Command: TypeAlias = tuple[str | bytes | int, ...]
"""A command and its arguments."""
Reply: TypeAlias = Any
"""Bytes, a number, None, a list of replies, or an error."""

_FOLDER: Final = files("ringline_broker.stores.redis") / "scripts"
_NEED_RECORD: Final = ("commit", "commit_groups", "select", "purge", "clock")
_ALONE: Final = ("mark", "claim", "people", "block", "unblock", "hint", "prune")


def _source(name: str) -> str:
    text = (_FOLDER / f"{name}.lua").read_text()
    return (_FOLDER / "record.lua").read_text() + text if name in _NEED_RECORD else text


SOURCES: Final = {name: _source(name) for name in (*_NEED_RECORD, *_ALONE)}
"""The scripts' texts by name."""
_DIGESTS: Final = {
    name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in SOURCES.items()
}
LOAD: Final[tuple[Command, ...]] = tuple(("SCRIPT", "LOAD", text) for text in SOURCES.values())
"""Tells a server all of them."""


def call(name: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Command:
    """The command that runs a script."""
    return ("EVALSHA", _DIGESTS[name], len(keys), *keys, *args)
