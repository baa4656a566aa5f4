"""`ringline user`: who may log in, to `ringline serve --users` or to a Mosquitto of `ringline deploy`."""

import fcntl
import getpass
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from ringline.protocol.topics import id_fault
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.printing import out, out_json, printable

if TYPE_CHECKING:
    from ringline_broker.bindings.amqtt.users import UsersFile

MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_BYTES: Final = 1_024

app = typer.Typer(
    name="user",
    no_args_is_help=True,
    help="Say who may log in: to `ringline serve --users FILE`, or to a running broker of `ringline deploy mosquitto`.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
File = Annotated[Path | None, typer.Option("--users", metavar="FILE", help="The password file; made where missing.")]
_FOLDER_HELP = "The folder of a broker that runs, see `ringline deploy mosquitto`; instead of --users."
Folder = Annotated[Path | None, typer.Option("--mosquitto", metavar="DIR", help=_FOLDER_HELP)]


class _Place(Protocol):
    """Where users are kept."""

    def fault(self, name: str) -> str | None:
        """What is wrong with a name."""
        ...

    def add(self, name: str, password: str) -> bool:
        """Add a user, or change the password of one; whether the user is new."""
        ...

    def remove(self, name: str) -> bool:
        """Remove a user; whether there was one."""
        ...

    def names(self) -> list[str]:
        """All users, in order."""
        ...


@app.command()
def add(name: Name, users: File = None, mosquitto: Folder = None) -> None:
    """Add a user, or change the password of one.

    The password comes from RINGLINE_PASSWORD; else it is asked for twice; else it is the first line of the input.
    """
    place = _place(users, mosquitto)
    _check_name(place, name)
    is_new = place.add(name, _password(name))
    out(f"{'added' if is_new else 'changed'} {printable(name)}")


@app.command(name="list")
def list_(
    users: File = None,
    mosquitto: Folder = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the users."""
    for name in _place(users, mosquitto).names():
        if json:
            out_json(user=name)
        else:
            out(printable(name))


@app.command()
def remove(name: Name, users: File = None, mosquitto: Folder = None) -> None:
    """Remove a user, and end their connections; those that a certificate has let in stay."""
    place = _place(users, mosquitto)
    if not place.remove(name):
        raise Failure(ExitCode.FAILED, f"there is no user {printable(name)} in {users or mosquitto}")
    out(f"removed {printable(name)}")


def _place(users: Path | None, mosquitto: Path | None) -> _Place:
    if users is not None and mosquitto is None:
        return _InFile(users)
    if mosquitto is not None and users is None:
        from ringline_broker.cli.mosquitto_users import InMosquitto  # noqa: PLC0415 - slow, and needed here alone

        return InMosquitto(mosquitto)
    text = "say whose users: either --users FILE, of `ringline serve`, or --mosquitto DIR, of `ringline deploy`"
    raise Failure(ExitCode.WRONG_USE, text)


def _check_name(place: _Place, name: str) -> None:
    if (fault := place.fault(name)) is not None:
        raise Failure(ExitCode.WRONG_USE, f"NAME {fault}")


class _InFile:
    """The password file of `ringline serve --users`, which reads it whenever it changes.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def fault(self, name: str) -> str | None:
        return id_fault(name)

    def add(self, name: str, password: str) -> bool:
        from ringline_broker.bindings.amqtt.users import new_hasher  # noqa: PLC0415 - as above

        hashed = new_hasher().hash(password)
        with self._opened() as file:
            known = file.read()
            file.write(known | {name: hashed})
        return name not in known

    def remove(self, name: str) -> bool:
        with self._opened() as file:
            known = file.read()
            if name in known:
                file.write({user: hashed for user, hashed in known.items() if user != name})
        return name in known

    def names(self) -> list[str]:
        with self._opened() as file:
            return sorted(file.read())

    @contextmanager
    def _opened(self) -> Generator["UsersFile"]:
        """The file, held against another `ringline user` at the same time."""
        from ringline_broker.bindings.amqtt.users import UsersFile  # noqa: PLC0415 - as above

        path = self._path
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


def _password(name: str) -> str:
    password = os.environ.get("RINGLINE_PASSWORD")
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {printable(name)}: ")
        if getpass.getpass("Again: ") != password:
            raise Failure(ExitCode.WRONG_USE, "the two passwords differ")
    elif password is None:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Failure(ExitCode.WRONG_USE, f"a password needs at least {MIN_PASSWORD_LENGTH} characters")
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        raise Failure(ExitCode.WRONG_USE, f"a password may have at most {MAX_PASSWORD_BYTES} bytes")
    return password
