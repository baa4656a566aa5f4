"""`ringline version`."""

import platform
from importlib import metadata
from typing import Annotated

import typer

from ringline import __version__
from ringline_broker.cli.printing import out, out_json


def version(*, json: Annotated[bool, typer.Option("--json", help="A JSON object instead of text.")] = False) -> None:
    """Show the versions of what is installed."""
    versions = {
        "ringline": __version__,
        "amqtt": _installed("amqtt"),
        "paho-mqtt": _installed("paho-mqtt"),
        "python": platform.python_version(),
    }
    if json:
        out_json(**versions)
        return
    for name, number in versions.items():
        out(f"{name:10}{number or 'not installed'}")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
