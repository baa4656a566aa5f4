"""The `ringline` command. A command is a function in a module of its own, and is listed here."""

import io
import sys

import typer

from ringline.protocol.errors import RinglineError
from ringline_broker.cli import (
    blocklist,
    calls,
    cert,
    deploy,
    doctor,
    group,
    invite,
    listen,
    serve,
    users,
    version,
    worker,
)
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.options import spread
from ringline_broker.cli.printing import err

__all__ = ["app", "main"]

_HELP = """Invitation signaling over MQTT: calls, doorbells, raised hands, seats on a stage.

\b
Exit codes:
  0 done                  2 wrong use             3 something to install
  4 refused               5 no broker             1 anything else
`invite --wait` has more, and ends with 0 where anybody accepted:
  10 rejected             11 timed out            12 cancelled
  13 offline              14 left the group       130 Ctrl-C
"""

app = typer.Typer(
    name="ringline",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # brackets in help are brackets
)
for command in (
    serve.serve,
    worker.worker,
    doctor.doctor,
    listen.listen,
    invite.invite,
    calls.accept,
    calls.reject,
    calls.cancel,
    calls.modify,
    calls.show,
    blocklist.block,
    blocklist.unblock,
    blocklist.blocked,
    version.version,
):
    app.command()(spread(command))
app.add_typer(users.app)
app.add_typer(cert.app)
app.add_typer(deploy.app)
app.add_typer(group.app)


def main() -> None:
    """Run the command line; ends the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than a name has
    try:
        code = app(standalone_mode=False, prog_name="ringline")
    except Failure as failed:
        err(str(failed))
        code = failed.code
    except typer.TyperException as wrong:
        err(_wrong_use(wrong))
        code = ExitCode.WRONG_USE
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    except ModuleNotFoundError as missing:
        err(f"this needs the package {missing.name}, which is not installed.")
        err("Install it with: pip install 'ringline[broker]'")
        code = ExitCode.NOT_INSTALLED
    except (RinglineError, OSError) as failed:
        err(f"ringline: {failed}")
        code = ExitCode.FAILED
    sys.exit(code or ExitCode.DONE)


def _wrong_use(wrong: typer.TyperException) -> str:
    """A line that says what is wrong, and one that says where help is."""
    path = getattr(getattr(wrong, "ctx", None), "command_path", "ringline")
    message = wrong.format_message()
    return message if "Usage:" in message else f"{path}: {message}\nSee {path} --help"
