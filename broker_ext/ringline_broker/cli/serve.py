"""`ringline serve`: a broker with the extension in it."""

from pathlib import Path
from typing import Annotated

import typer

from ringline_broker.cli.config import ServeOptions, merged
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.options import given
from ringline_broker.settings import Settings


def serve(
    context: typer.Context,
    options: ServeOptions,
    settings: Settings,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="A TOML file; its keys are these flags with _ for -, and a flag beats the file."),
    ] = None,
) -> None:
    """Run a broker with Ringline in it, until Ctrl-C."""
    flags = given(context, ServeOptions) | given(context, Settings)
    options, settings = merged(config, options, settings, flags)
    if not is_loopback(options.host):
        raise Failure(
            ExitCode.WRONG_USE,
            f"--host {options.host} is not a loopback address. Until it is hardened against hostile networks, "
            "`ringline serve`\nlistens where only programs on this machine can reach it: 127.0.0.1, ::1 or localhost.",
        )
    from ringline_broker.cli.running import run  # noqa: PLC0415 - other commands need no broker, and start faster

    run(options, settings)
