"""`ringline group`: groups from a terminal. A command is a function in one of the modules here, and is listed here."""

from collections.abc import Callable
from typing import Final

import typer

from ringline_broker.cli.group import contents, life, members
from ringline_broker.cli.options import spread

__all__ = ["app"]

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "create": life.create,
    "dismiss": life.dismiss,
    "set": life.set_,
    "me": life.me,
    "list": life.list_,
    "info": life.info,
    "join": members.join,
    "quit": members.quit_,
    "add": members.add,
    "remove": members.remove,
    "members": members.members,
    "role": members.role,
    "transfer": members.transfer,
    "mute": members.mute,
    "mute-all": members.mute_all,
    "applications": members.applications,
    "accept": members.accept,
    "refuse": members.refuse,
    "attr": contents.attr,
    "count": contents.count,
}

app = typer.Typer(name="group", no_args_is_help=True, help="Make groups, join them, and see to their members.")
for name, command in _COMMANDS.items():
    app.command(name)(spread(command))
