"""What commands print: values that strangers chose, made safe for terminals and for JSON."""

import base64
import dataclasses
import json
import math
import os
import sys
import time
from typing import Any

from msgpack import ExtType, Timestamp

from ringline.data import Undecodable


def printable(text: str) -> str:
    """Text without anything that a terminal would act on: control characters, and those that turn writing around."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def as_json(value: object) -> str:
    """A value as one line of JSON, see `plain`."""
    try:
        return json.dumps(plain(value))
    except RecursionError:
        return '{"$undecodable": "nested too deeply"}'


def as_text(value: object) -> str:
    """A value for people: JSON too, with letters of every script."""
    try:
        return printable(json.dumps(plain(value), ensure_ascii=False))
    except RecursionError:
        return "(nested too deeply to show)"


def plain(value: Any) -> Any:  # noqa: ANN401 - any MessagePack value in, any JSON value out
    """What JSON can carry. What it cannot becomes a map with one key: `$bytes` (base64), `$float` (nan, inf, -inf),
    `$undecodable`, `$ext`; keys that are no strings become their JSON, and one of our own objects a map.
    """
    match value:
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case Undecodable():
            return {"$undecodable": base64.b64encode(value.raw).decode()}
        case ExtType() | Timestamp():
            return {"$ext": str(value)}
        case float() if not math.isfinite(value):
            return {"$float": str(value)}
        case dict():
            return {key if isinstance(key, str) else as_json(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return plain(fields(value))
        case _:
            return value


def fields(event: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """A dataclass as a map, its values as they are."""
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


def out(line: str) -> None:
    """Print a line, at once.

    Raises:
        BrokenPipeError: whoever read is gone; what is printed after that goes nowhere.
    """
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def out_json(**line: object) -> None:
    """Print a JSON object, at once."""
    out(as_json(line))


def out_timed(line: str) -> None:
    """Print a line with the time of day before it, at once."""
    out(f"{time.strftime('%H:%M:%S')} {line}")


def err(line: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(line + "\n")
