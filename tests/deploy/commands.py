"""Whether the real command line would take what a file of deploy/ has it run."""

from typing import Any

import typer.main

from ringline_broker.cli import app


def parsed(words: list[str]) -> dict[str, Any]:
    """What `ringline WORDS` would be run with: every option, with its value; nothing is run.

    Raises:
        typer.TyperException: it would be refused.
        KeyError: there is no such command.
    """
    command: Any = typer.main.get_group(app)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    params: dict[str, Any] = command.make_context("ringline", words).params
    return params
