"""Runs the server of `ringline serve`: from its options to its last words."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from ringline.protocol.errors import RinglineError
from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.listening import CannotListen, tls_context
from ringline_broker.cli.announcing import announce
from ringline_broker.cli.config import PLAIN, ServeOptions, Serving
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.exposure import dangers
from ringline_broker.cli.logs import start_logging
from ringline_broker.cli.loops import fastest_loop, stop_in_time
from ringline_broker.cli.monitored import monitored
from ringline_broker.cli.options import flag
from ringline_broker.cli.ports import not_opened
from ringline_broker.cli.reaching import untimely
from ringline_broker.server import Server, ServerConfig, allow_many_connections, calm_collector
from ringline_broker.service.ports import StoreInUse
from ringline_broker.settings import Bounds, ConnectionLimits

if TYPE_CHECKING:
    from ringline_broker.own_mosquitto.server import PrivateServer

log = logging.getLogger(__name__)

LISTENERS = {"port": "default", "tls_port": "tls", "ws_port": "ws", "wss_port": "wss"}
"""Which option opens which listener; the first that is opened is called `default`."""


def run(told: Serving, opened: dict[str, int]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        told: all that `serve` was told.
        opened: the port that each option opens.

    Raises:
        Failure: it cannot start; the message says what to do.
    """
    options = told.options
    start_logging(options.log_level, as_json=options.json)
    for danger in dangers(options, opened):
        log.warning(danger)
    _check_certificates(options)
    _check_ports(options.host, opened)
    server = _embedded(told, opened) if options.broker == "amqtt" else _beside_mosquitto(told, opened)
    calm_collector()
    allow_many_connections(told.connections)
    try:
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(_watched(server, told, opened))
    except StoreInUse as held:
        other = "start this one in another folder" if options.memory else "choose another folder with --data"
        raise Failure(ExitCode.FAILED, f"{held}; stop it, or {other}") from held
    except RinglineError as failed:
        raise Failure(ExitCode.FAILED, str(failed)) from failed


def _store(options: ServeOptions) -> str:
    return "memory:" if options.memory else f"sqlite:{options.data / 'ringline.sqlite'}"


def _embedded(told: Serving, opened: dict[str, int]) -> Server:
    options = told.options
    config = ServerConfig(
        listeners=listeners_of(options, opened),
        store=_store(options),
        durability=options.durability,
        users=options.users,
        settings=told.settings,
        connections=told.connections,
        bounds=told.bounds,
        authority=options.client_ca,
        revoked=options.client_crl,
        timed=options.http_port is not None,
    )
    return Server(config)


def _beside_mosquitto(told: Serving, opened: dict[str, int]) -> "PrivateServer":
    from ringline_broker.deployment.mosquitto import prefix_fault  # noqa: PLC0415 - the embedded server needs none of it
    from ringline_broker.own_mosquitto.certificate import Certificate  # noqa: PLC0415 - likewise
    from ringline_broker.own_mosquitto.files import Listens, Logins  # noqa: PLC0415 - likewise
    from ringline_broker.own_mosquitto.server import PrivateConfig, PrivateServer  # noqa: PLC0415 - likewise

    options = told.options
    if (fault := prefix_fault(told.settings.prefix)) is not None:
        raise Failure(ExitCode.WRONG_USE, f"--prefix {fault}")
    _check_limits(told)
    cert = options.tls_cert
    listeners = {
        name: Listens(one.host, one.port, one.certfile is not None)
        for name, one in listeners_of(options, opened).items()
    }
    config = PrivateConfig(
        folder=options.data / "mosquitto",
        listeners=listeners,
        logins=Logins.USERS if options.logins else Logins.ANYBODY,
        store=_store(options),
        durability=options.durability,
        settings=told.settings,
        max_devices=told.connections.max_devices,
        certificate=None if cert is None else Certificate(cert, options.tls_key or cert),
        timed=options.http_port is not None,
    )
    return PrivateServer(config)


def _check_limits(told: Serving) -> None:
    """Have limits refused that Mosquitto does not have: whoever sets one relies on it."""
    devices = ConnectionLimits(max_devices=told.connections.max_devices)
    for given, usual in ((told.connections, devices), (told.bounds, Bounds())):
        for field in dataclasses.fields(given):
            if getattr(given, field.name) != getattr(usual, field.name):
                text = f"{flag(field.name)} is a limit of --broker amqtt; Mosquitto has none like it"
                raise Failure(ExitCode.WRONG_USE, text)


def listeners_of(options: ServeOptions, opened: dict[str, int]) -> dict[str, Listener]:
    """The listeners to open, by name."""
    return {
        name: Listener(
            host=options.host,
            port=opened[option],
            websocket=option in ("ws_port", "wss_port"),
            certfile=None if option in PLAIN else options.tls_cert,
            keyfile=None if option in PLAIN else options.tls_key,
        )
        for option, name in _names(opened).items()
    }


def _names(opened: dict[str, int]) -> dict[str, str]:
    """What the listener of each option is called."""
    options = [option for option in LISTENERS if option in opened]
    return {option: LISTENERS[option] if number else "default" for number, option in enumerate(options)}


async def _watched(server: "Server | PrivateServer", told: Serving, opened: dict[str, int]) -> None:
    async with monitored(server, told.options.http_port, told.options.http_host) as url:
        await _serve(server, told, opened, url)


async def _serve(server: "Server | PrivateServer", told: Serving, opened: dict[str, int], url: str | None) -> None:
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    ends_with_terminal = not nohup and _has_terminal()  # then SIGHUP is how the system says that it went
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.put_nowait, number)
    await server.start()
    ports = server.ports()
    announce(told.options, told.settings, {option: ports[name] for option, name in _names(opened).items()}, url)
    while await asked.get() is signal.SIGHUP and (_has_terminal() or not ends_with_terminal):
        _reload(server, told.options)
    await stop_in_time(server.stop())


def _reload(server: "Server | PrivateServer", options: ServeOptions) -> None:
    files = [options.tls_cert, options.client_ca, options.client_crl, options.users]
    if not any(files):
        log.info("nothing to reload: no certificate and no file of users was given")
        return
    try:
        server.reload()
    except (RinglineError, OSError) as failed:
        log.error("not reloaded, all stays as it was: %s", failed)  # noqa: TRY400 - the error says what to do
    else:
        log.info("reloaded: %s", ", ".join(str(file) for file in files if file is not None))
        if options.tls_cert is not None:
            _warn_of_date(options.tls_cert)


def _has_terminal() -> bool:
    """Whether there is a terminal that this process belongs to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _check_certificates(options: ServeOptions) -> None:
    """Have a file that is none said together with its flag."""
    if options.tls_cert is None:
        return
    try:
        tls_context(options.tls_cert, options.tls_key or options.tls_cert)
    except CannotListen as bad:
        raise Failure(ExitCode.WRONG_USE, f"{bad}; see --tls-cert and --tls-key") from bad
    _warn_of_date(options.tls_cert)


def _warn_of_date(cert: Path) -> None:
    """What TLS alone takes without a word, and every client refuses."""
    from ringline_broker.certificates import BadCertificate  # noqa: PLC0415 - slow, and not every server has one

    with contextlib.suppress(BadCertificate):  # TLS has read it, and that is what counts
        if (fault := untimely(cert)) is not None:
            log.warning("--tls-cert: %s", fault)


def _check_ports(host: str, opened: dict[str, int]) -> None:
    """Try every port first: aMQTT does not say which listener it could not open."""
    for option, port in opened.items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind((host, port))
            except OSError as taken:
                raise not_opened(port, host, taken, option) from taken
