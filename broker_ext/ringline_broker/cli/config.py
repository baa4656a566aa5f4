"""What `serve` can be told, by flags and by a TOML file: a flag beats the file, the file beats the default."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.logs import Level
from ringline_broker.cli.options import make
from ringline_broker.cli.ports import HTTP_HOST, check_port
from ringline_broker.settings import Bounds, ConnectionLimits, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How a server listens, and where it keeps things.

    Attributes:
        broker: The broker inside: amqtt, in this process, or mosquitto, a private one as a child process, for a site
            that outgrew the other.
        logins: With --broker mosquitto, only users added with `ringline user add NAME --mosquitto DATA/mosquitto` may
            log in.
        host: The address to listen on. One that other machines reach takes TLS, and users or a client CA.
        port: The port for MQTT, 0 for any free one; where left out 1883 if the host is a loopback address, else none.
        tls_port: The port for MQTT over TLS; 8883 where a certificate is given, 0 for any free one.
        ws_port: The port for MQTT over WebSocket, none where left out; 0 for any free one.
        wss_port: The port for MQTT over WebSocket over TLS, none where left out; 0 for any free one.
        tls_cert: The server's certificate with its chain, a PEM file.
        tls_key: The private key of the certificate, a PEM file; where left out, it is in the same file.
        data: The folder for invitations; made where missing, and locked against a second server.
        memory: Keep nothing on disk: invitations end with the server.
        durability: Whether an answered request survives a power loss (full) or only the end of the process (normal).
        users: The password file, see `ringline user`; without it, and without a client CA, any name may log in.
        client_ca: The authority whose certificates log devices in, as the user that the certificate names and without
            a password; a PEM file, see `ringline cert`.
        client_crl: The revocation list of that authority, a PEM file; read again on SIGHUP, as certificates are.
        http_port: The port for /metrics, /healthz and /readyz over HTTP, closed where left out; 0 for any free one.
        http_host: The address that port is on.
        insecure: Open what was asked for on a network, though it is not encrypted or lets anybody in.
        log_level: What to log of Ringline itself.
        json: JSON lines instead of text, for logs too.
    """

    broker: Literal["amqtt", "mosquitto"] = "amqtt"
    logins: bool = False
    host: str = "127.0.0.1"
    port: int | None = None
    tls_port: int | None = None
    ws_port: int | None = None
    wss_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    data: Path = Path("ringline-data")
    memory: bool = False
    durability: Literal["full", "normal"] = "full"
    users: Path | None = None
    client_ca: Path | None = None
    client_crl: Path | None = None
    http_port: int | None = None
    http_host: str = HTTP_HOST
    insecure: bool = False
    log_level: Level = "info"
    json: bool = False

    @property
    def asks_who(self) -> bool:
        """Whether only some may log in."""
        return self.users is not None or self.client_ca is not None or self.logins

    def __post_init__(self) -> None:
        for name in (*PORTS, "http_port"):
            check_port(name, getattr(self, name))


PORTS = ("port", "tls_port", "ws_port", "wss_port")
PLAIN = ("port", "ws_port")
"""Those without TLS."""


@dataclass(frozen=True, slots=True)
class Serving:
    """All that `serve` can be told.

    Attributes:
        options: how it listens, and where it keeps things.
        settings: what the extension allows.
        connections: what the broker takes of connections.
        bounds: what one connection may take.
    """

    options: ServeOptions = field(default_factory=ServeOptions)
    settings: Settings = field(default_factory=Settings)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    bounds: Bounds = field(default_factory=Bounds)


def merged(file: Path | None, told: Serving, flags: set[str]) -> Serving:
    """Lay flags over the file.

    Args:
        file: the TOML file, if there is one.
        told: as the command line has it, with defaults.
        flags: the fields that stand on the command line.

    Raises:
        Failure: the file cannot be read, or a key or value of it makes no sense; the message names both.
    """
    _check_place(flags, "")
    if file is None:
        return told
    table = _read(file)
    groups = {part.name: getattr(told, part.name) for part in dataclasses.fields(told)}
    known = {key: hint for group in groups.values() for key, hint in get_type_hints(type(group)).items()}
    for key, value in table.items():
        if key not in known:
            text = f"{file}: there is no key {key!r}; keys are the flags of `ringline serve` with _ for -"
            raise Failure(ExitCode.WRONG_USE, text)
        if not _fits(value, known[key]):
            raise Failure(ExitCode.WRONG_USE, f"{file}: {key} must be {_wanted(known[key])}, not {value!r}")
        if _is_path(known[key]):
            table[key] = file.parent / value
    _check_place(set(table), f"{file}: ")
    if "data" in flags:
        table.pop("memory", None)
    under = {key: value for key, value in table.items() if key not in flags}
    try:
        return Serving(**{name: _laid(group, under) for name, group in groups.items()})
    except Failure as wrong:
        raise Failure(wrong.code, f"{file}: {wrong}") from wrong


def _check_place(given: set[str], where: str) -> None:
    if {"data", "memory"} <= given:
        raise Failure(ExitCode.WRONG_USE, f"{where}--memory keeps nothing on disk: leave out --data, or --memory")


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as failed:
        raise Failure(ExitCode.WRONG_USE, f"cannot read {file}: {failed.strerror}") from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise Failure(ExitCode.WRONG_USE, f"{file} is no TOML: {bad}") from bad


def _laid(group: T, under: Mapping[str, Any]) -> T:
    names = {field.name for field in dataclasses.fields(group)}  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    values = {name: getattr(group, name) for name in names}
    return make(type(group), values | {key: value for key, value in under.items() if key in names})


def _kinds(wanted: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type, or a union of types
    return get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)


def _is_path(wanted: Any) -> bool:  # noqa: ANN401 - likewise
    return Path in _kinds(wanted)


def _fits(value: object, wanted: Any) -> bool:  # noqa: ANN401 - likewise
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if _is_path(wanted):
        return type(value) is str
    kinds = _kinds(wanted)
    return type(value) in ((*kinds, int) if float in kinds else kinds)  # a bool is no int here


def _wanted(wanted: Any) -> str:  # noqa: ANN401 - likewise
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(get_args(wanted))
    words = {str: "a string", Path: "a path, as a string", int: "a whole number", float: "a number",
             bool: "true or false"}  # fmt: skip
    return words[_kinds(wanted)[0]]
