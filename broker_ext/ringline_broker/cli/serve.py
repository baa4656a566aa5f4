"""`ringline serve`: a broker with the extension in it."""

from pathlib import Path
from typing import Annotated

import typer

from ringline_broker.cli.config import ServeOptions, Serving, merged
from ringline_broker.cli.exposure import ports_to_open
from ringline_broker.cli.options import given
from ringline_broker.settings import Bounds, ConnectionLimits, Settings


def serve(
    context: typer.Context,
    options: ServeOptions,
    settings: Settings,
    connections: ConnectionLimits,
    bounds: Bounds,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="A TOML file; its keys are these flags with _ for -, and a flag beats the file."),
    ] = None,
) -> None:
    """Run a broker with Ringline in it, until Ctrl-C.

    SIGHUP has it read certificates, revocations and users again; who may still be in stays connected.
    """
    flags = set[str]().union(*(given(context, group) for group in (ServeOptions, Settings, ConnectionLimits, Bounds)))
    told = merged(config, Serving(options, settings, connections, bounds), flags)
    opened = ports_to_open(told.options)
    from ringline_broker.cli.running import run  # noqa: PLC0415 - other commands need no broker, and start faster

    run(told, opened)
