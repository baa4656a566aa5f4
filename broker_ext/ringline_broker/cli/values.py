"""JSON from the command line, as a value for the application's data."""

import base64
import binascii
import json
from typing import Any

from ringline_broker.cli.exits import ExitCode, Failure


def parse_data(text: str) -> Any:  # noqa: ANN401 - any MessagePack value
    """Read --data; nothing at all is no data.

    Raises:
        Failure: it is no JSON.
    """
    return parse_json(text, "--data") if text else None


def parse_json(text: str, where: str) -> Any:  # noqa: ANN401 - any MessagePack value
    """Read JSON that stands on the command line.

    Args:
        text: the JSON.
        where: what it stands in, for the error.

    Raises:
        Failure: it is none.
    """
    try:
        return json.loads(text, object_hook=_with_bytes)
    except json.JSONDecodeError as bad:
        raise Failure(ExitCode.WRONG_USE, f"{where} is no JSON: {bad}; a text needs its quotes: '\"text\"'") from bad
    except binascii.Error as bad:
        raise Failure(ExitCode.WRONG_USE, f"{where}: $bytes is no base64: {bad}") from bad


def _with_bytes(value: dict[str, Any]) -> Any:  # noqa: ANN401 - the map, or bytes
    """The other way round of what commands print."""
    if value.keys() == {"$bytes"} and isinstance(value["$bytes"], str):
        return base64.b64decode(value["$bytes"], validate=True)
    return value
