"""`ringline cert`: a private authority, for a server that other machines reach, and for devices without passwords."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ringline.protocol.topics import id_fault
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.pasting import command, quoted
from ringline_broker.cli.printing import err, out, out_json, printable

if TYPE_CHECKING:
    from ringline_broker.authority import Authority, Issued

SOON: Final = timedelta(days=30)

_HELP = """Keep certificates: an authority of one's own, the server's certificate, those of devices.

\b
The folder has
  authority.pem, authority.key   the authority
  server.pem, server.key         the server's certificate
  revoked.pem                    the revocation list
  issued/                        a copy of each device's certificate
  devices/NAME.pem               a device's certificate and key in one file,
                                 until it is moved to its device
Keep it to yourself: whoever has authority.key can log in as anybody.
"""

app = typer.Typer(name="cert", no_args_is_help=True, help=_HELP)

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder of the authority.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
DEFAULT_FOLDER: Final = Path("ringline-certs")
_HOST_HELP = "A name or an address that clients reach the server under; may be given more than once."


@app.command()
def init(
    host: Annotated[list[str], typer.Option(metavar="NAME", help=_HOST_HELP)], folder: Folder = DEFAULT_FOLDER
) -> None:
    """Make an authority, the server's certificate and an empty revocation list."""
    from ringline_broker.authority import Authority  # noqa: PLC0415 - slow, and needed here alone

    Authority.create(folder, host, _now())
    out(f"made an authority in {folder}, and a certificate of a server that is {', '.join(host)}")
    files = {"--tls-cert": "server.pem", "--tls-key": "server.key", "--client-ca": "authority.pem",
             "--client-crl": "revoked.pem"}  # fmt: skip
    words = [f"{flag} {quoted(folder / file)}" for flag, file in files.items()]
    out("next, a certificate for each device, and the server:")
    out(f"  {command()} cert device alice{_place(folder)}")
    listen = host[0] if is_loopback(host[0]) else "0.0.0.0"  # noqa: S104 - who made certificates wants to be reached
    out(f"  {command()} serve --host {listen} {' '.join(words)}")


@app.command()
def device(
    name: Name,
    folder: Folder = DEFAULT_FOLDER,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file; in the folder, devices/NAME.pem where left out."),
    ] = None,
) -> None:
    """Make a certificate with which a device logs in as a user; a user may have several.

    The file has the certificate and its key: move it to the device, where `--cert FILE` takes it. The device needs a
    copy of authority.pem too, for `--cafile`.
    """
    if (fault := id_fault(name)) is not None:
        raise Failure(ExitCode.WRONG_USE, f"NAME {fault}")
    file = _authority(folder).issue_device(name, _now(), to)
    out(f"made {printable(str(file))}, certificate and key of a device of {printable(name)}: move it there,")
    out(f"and a copy of {folder / 'authority.pem'} with it")


@app.command()
def server(
    host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"{_HOST_HELP} The hosts of now where left out.")
    ] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Renew the server's certificate, for the same hosts or for others. Its key stays.

    A server that runs takes it on SIGHUP, and keeps its connections.
    """
    authority = _authority(folder)
    hosts = host or authority.hosts()
    until = authority.issue_server(hosts, _now())
    out(f"renewed {folder / 'server.pem'} for {', '.join(hosts)}, until {until:%Y-%m-%d}")
    out("a server that runs takes it on SIGHUP")


@app.command()
def revoke(
    name: Name,
    folder: Folder = DEFAULT_FOLDER,
    serial: Annotated[
        str, typer.Option(metavar="SERIAL", help="This one alone, see `list`; all of the user's where left out.")
    ] = "",
) -> None:
    """Revoke the certificates of a user.

    A server that runs takes it on SIGHUP, and ends their connections.
    """
    revoked = _authority(folder).revoke(name, _now(), _number(serial) if serial else None)
    if not revoked:
        out(f"revoked before: {printable(name)}")
        return
    out(f"revoked {', '.join(f'{one:x}' for one in revoked)} of {printable(name)}")
    out("a server that runs takes it on SIGHUP")


@app.command(name="list")
def list_(
    folder: Folder = DEFAULT_FOLDER,
    *,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the certificates, and warn of those that expire within 30 days."""
    issued, now = _authority(folder).issued(), _now()
    for one in issued:
        if json:
            out_json(kind=one.kind, name=one.name, serial=f"{one.serial:x}", until=one.until.isoformat(),
                     revoked=one.revoked)  # fmt: skip
        else:
            name = f"{one.kind} {printable(one.name)}".strip()
            out(f"{name:32} {one.serial:040x}  until {one.until:%Y-%m-%d}  {_state(one, now)}")
    _warn(issued, now, folder)


def _warn(issued: "Iterable[Issued]", now: datetime, folder: Path) -> None:
    soon = [one for one in issued if _state(one, now) == "valid" and one.until - now < SOON]
    renew = {"authority": "make another authority in another folder", "server": f"{command()} cert server",
             "device": f"{command()} cert device NAME"}  # fmt: skip
    for kind, what in renew.items():
        if names := [printable(one.name) for one in soon if one.kind == kind]:
            todo = what if kind == "authority" else what + _place(folder)
            err(f"within 30 days expires: {kind} {', '.join(names)}".rstrip() + f"; renew with: {todo}")


def _place(folder: Path) -> str:
    return "" if folder == DEFAULT_FOLDER else f" --dir {quoted(folder)}"


def _state(one: "Issued", now: datetime) -> str:
    if one.revoked:
        return "revoked"
    return "expired" if one.until < now else "valid"


def _authority(folder: Path) -> "Authority":
    from ringline_broker.authority import Authority  # noqa: PLC0415 - as above

    return Authority(folder)


def _number(serial: str) -> int:
    try:
        return int(serial, 16)
    except ValueError as bad:
        raise Failure(ExitCode.WRONG_USE, f"--serial {printable(serial)} is no serial number, see `list`") from bad


def _now() -> datetime:
    return datetime.now(UTC)
