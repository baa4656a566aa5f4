"""`ringline user`: the password file of `ringline serve --users`."""

import fcntl
import getpass
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ringline.protocol.topics import id_fault
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.printing import out, out_json, printable

if TYPE_CHECKING:
    from ringline_broker.bindings.amqtt.users import UsersFile

MIN_PASSWORD_LENGTH: Final = 8

app = typer.Typer(name="user", no_args_is_help=True, help="Keep the password file of `ringline serve --users`.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
File = Annotated[Path, typer.Option("--users", metavar="FILE", help="The password file; made where missing.")]


@app.command()
def add(name: Name, users: File) -> None:
    """Add a user, or change the password of one.

    The password comes from RINGLINE_PASSWORD; else it is asked for twice; else it is the first line of the input.
    """
    if (fault := id_fault(name)) is not None:
        raise Failure(ExitCode.WRONG_USE, f"NAME {fault}")
    from ringline_broker.bindings.amqtt.users import MAX_PASSWORD_BYTES, new_hasher  # noqa: PLC0415 - slow, and needed here alone

    hashed = new_hasher().hash(_password(name, MAX_PASSWORD_BYTES))
    with _opened(users) as file:
        known = file.read()
        file.write(known | {name: hashed})
    out(f"{'changed' if name in known else 'added'} {name}")


@app.command(name="list")
def list_(users: File, *, json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False) -> None:
    """List the users."""
    with _opened(users) as file:
        for name in sorted(file.read()):
            if json:
                out_json(user=name)
            else:
                out(printable(name))


@app.command()
def remove(name: Name, users: File) -> None:
    """Remove a user. A server that runs ends their connections, but for those that a certificate has let in."""
    with _opened(users) as file:
        known = file.read()
        if name not in known:
            raise Failure(ExitCode.FAILED, f"there is no user {printable(name)} in {users}")
        file.write({user: hashed for user, hashed in known.items() if user != name})
    out(f"removed {printable(name)}")


@contextmanager
def _opened(path: Path) -> Generator["UsersFile"]:
    """The file, held against another `ringline user` at the same time."""
    from ringline_broker.bindings.amqtt.users import UsersFile  # noqa: PLC0415 - as above

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as failed:
        raise Failure(ExitCode.FAILED, f"cannot open {path.parent}: {failed.strerror}") from failed
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield UsersFile(path)
    finally:
        os.close(folder)


def _password(name: str, most_bytes: int) -> str:
    password = os.environ.get("RINGLINE_PASSWORD")
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {printable(name)}: ")
        if getpass.getpass("Again: ") != password:
            raise Failure(ExitCode.WRONG_USE, "the two passwords differ")
    elif password is None:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Failure(ExitCode.WRONG_USE, f"a password needs at least {MIN_PASSWORD_LENGTH} characters")
    if len(password.encode()) > most_bytes:
        raise Failure(ExitCode.WRONG_USE, f"a password may have at most {most_bytes} bytes")
    return password
