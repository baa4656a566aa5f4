"""`ringline deploy`: writes the configuration of a broker."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringline.protocol.topics import DEFAULT_PREFIX
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.options import make, spread
from ringline_broker.cli.pasting import command, quoted
from ringline_broker.cli.ports import MQTT_PORT, MQTTS_PORT, check_port
from ringline_broker.cli.printing import err, out
from ringline_broker.cli.reaching import authority_of, certified_host, from_here, untimely, url_of
from ringline_broker.settings import Settings

if TYPE_CHECKING:
    from ringline_broker.deployment.mosquitto import Site

app = typer.Typer(name="deploy", no_args_is_help=True, help="Write the configuration of a broker for workers.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to; made where missing.")]


@dataclass(frozen=True, slots=True)
class MosquittoOptions:
    """How the broker listens, and who looks after its permissions.

    Attributes:
        host: The address to listen on. One that other machines reach takes --tls-cert.
        port: The port; where left out 1883, or 8883 with --tls-cert.
        tls_cert: The broker's certificate with its chain, a PEM file.
        tls_key: The private key of the certificate, a PEM file; where left out, it is in the same file.
        prefix: What all topics start with.
        plugin: The dynamic-security plugin, mosquitto_dynamic_security.so; where left out, it is looked for.
        group_topics: Events of a group go once, to a topic of its own; the worker's account may then manage
            permissions.
        user: Whom the broker runs as where root starts it.
        insecure: Listen where other machines reach it, though it is not encrypted.
        force: Write over a configuration there is. Passwords change, and its users are gone.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    prefix: str = DEFAULT_PREFIX
    plugin: Path | None = None
    group_topics: bool = False
    user: str = "mosquitto"
    insecure: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        check_port("port", self.port, least=1)


def mosquitto(folder: Folder, options: MosquittoOptions) -> None:
    """Write a complete, safe configuration of Mosquitto with its dynamic-security plugin.

    Nobody may log in or do anything that is not allowed by name; users are added with `ringline user add NAME
    --mosquitto DIR` while the broker runs.
    """
    _check(folder, options)
    from ringline_broker.deployment.mosquitto import BadDeployment, write  # noqa: PLC0415 - slow, and needed here alone

    site = _site(folder, options)
    broker, worker, user = _commands(site, command())
    try:
        write(site, _commands(_anywhere(site), command(anywhere=True)), force=options.force)
    except BadDeployment as bad:
        raise Failure(ExitCode.FAILED, str(bad)) from bad
    if not is_loopback(options.host) and options.tls_cert is None:
        err(f"--insecure: whoever is on the way to {options.host} can read passwords and invitations, and change them")
    out(f"wrote a configuration of Mosquitto to {folder}: its README.md says what is what")
    lines = {
        "start the broker": [broker],
        "then a worker, in another terminal; several workers need --store redis://HOST:PORT": [worker],
        "then two users": [user, f"{command()} user add bob{_of(folder)}"],
        "and let them call": [_as_user(site, "bob", "listen", "--answer accept"),
                              _as_user(site, "alice", "invite bob", "--wait")],
    }  # fmt: skip
    for what, shown in lines.items():
        out(f"{what}:")
        for line in shown:
            out(f"  {line}")


app.command()(spread(mosquitto))


def _check(folder: Path, options: MosquittoOptions) -> None:
    if folder.exists() and not folder.is_dir():
        raise _wrong(f"DIR: {folder} is a file, and has to be a folder or a new name")
    if options.tls_key is not None and options.tls_cert is None:
        raise _wrong("--tls-key is the key of a certificate: give --tls-cert too")
    for flag, file in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key), ("--plugin", options.plugin)):
        if file is not None and not file.is_file():
            raise _wrong(f"{flag}: there is no file {file}")
    if not options.host or not options.host.isprintable() or " " in options.host:
        raise _wrong(f"--host is no address: {options.host!r}")
    make(Settings, {"prefix": options.prefix})
    from ringline_broker.deployment.mosquitto import prefix_fault  # noqa: PLC0415 - slow, and needed here alone

    if (fault := prefix_fault(options.prefix)) is not None:
        raise _wrong(f"--prefix {fault}")
    if options.tls_cert is None and not is_loopback(options.host) and not options.insecure:
        raise _wrong(
            f"--host {options.host} can be reached from other machines, which takes encryption (--tls-cert); "
            "`ringline cert init` makes certificates.\nOn a network where nobody is a stranger, --insecure opens it "
            "all the same."
        )


def _site(folder: Path, options: MosquittoOptions) -> "Site":
    from ringline_broker.deployment.mosquitto import Site, find_plugin  # noqa: PLC0415 - as above

    plugin = options.plugin or find_plugin()
    if plugin is None:
        text = "no mosquitto_dynamic_security.so is to be found: install Mosquitto 2, or say where it is with --plugin"
        raise Failure(ExitCode.NOT_INSTALLED, text)
    cert = options.tls_cert
    port = options.port or (MQTT_PORT if cert is None else MQTTS_PORT)
    return Site(
        folder, options.host, port, _url(options, port), plugin, cert, options.tls_key or cert,
        None if cert is None else authority_of(cert), options.prefix, options.group_topics, options.user,
    )  # fmt: skip


def _url(options: MosquittoOptions, port: int) -> str:
    """How the broker is reached from here."""
    if options.tls_cert is None:
        return url_of("mqtt", from_here(options.host), port)
    from ringline_broker.certificates import BadCertificate  # noqa: PLC0415 - as above

    try:
        fault = untimely(options.tls_cert)
        host = certified_host(options.tls_cert, options.host)
    except BadCertificate as bad:
        raise _wrong(f"--tls-cert: {bad}") from bad
    if fault is not None:
        raise _wrong(f"--tls-cert: {fault}")
    return url_of("mqtts", host, port)


def _anywhere(site: "Site") -> "Site":
    """With all paths whole, for commands that are pasted in another folder."""
    return replace(
        site, folder=site.folder.absolute(), cafile=None if site.cafile is None else site.cafile.absolute()
    )


def _commands(site: "Site", ringline: str) -> tuple[str, str, str]:
    """What starts the broker, starts a worker and adds a user."""
    from ringline_broker.deployment.mosquitto import start_words  # noqa: PLC0415 - as above

    return (
        shlex.join(start_words(site.folder)), _start_worker(site, ringline),
        f"{ringline} user add alice{_of(site.folder)}",
    )  # fmt: skip


def _start_worker(site: "Site", ringline: str) -> str:
    from ringline_broker.deployment.mosquitto import WORKER, worker_env  # noqa: PLC0415 - as above

    words = [f"{ringline} worker --broker {_with_user(site, WORKER)}", f"--store {quoted(_store(site.folder))}"]
    words += ["--permissions dynsec --group-topics"] * site.group_topics
    return f"(set -a; . {quoted(_sourced(worker_env(site.folder)))}; exec {' '.join(words)}{_rest(site)})"


def _store(folder: Path) -> Path:
    return Path(f"sqlite:{folder / 'ringline.sqlite'}")


def _sourced(file: Path) -> Path:
    """A shell looks for a name without a slash on the PATH."""
    return file.absolute()


def _as_user(site: "Site", user: str, what: str, rest: str) -> str:
    return f"{command()} {what} --url {_with_user(site, user)}{_rest(site)} {rest}"


def _with_user(site: "Site", user: str) -> str:
    scheme, _, place = site.url.partition("://")
    return f"{scheme}://{user}@{place}"


def _rest(site: "Site") -> str:
    """What every client of the broker has to be told."""
    words = [] if site.cafile is None else [f"--cafile {quoted(site.cafile)}"]
    words += [f"--prefix {quoted(Path(site.prefix))}"] * (site.prefix != DEFAULT_PREFIX)
    return "".join(f" {word}" for word in words)


def _of(folder: Path) -> str:
    return f" --mosquitto {quoted(folder)}"


def _wrong(text: str) -> Failure:
    return Failure(ExitCode.WRONG_USE, text)
