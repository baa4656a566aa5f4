"""Runs the server of `ringline serve`: from its options to its last words."""

import asyncio
import contextlib
import errno
import signal
import socket
from importlib import import_module

from ringline.protocol.errors import RinglineError
from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.listening import CannotListen, tls_context
from ringline_broker.cli.announcing import announce
from ringline_broker.cli.config import ServeOptions
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.logs import start_logging
from ringline_broker.cli.options import flag
from ringline_broker.server import Server, ServerConfig, calm_collector
from ringline_broker.service.ports import StoreInUse
from ringline_broker.settings import Settings

LISTENERS = {"port": "default", "tls_port": "tls", "ws_port": "ws", "wss_port": "wss"}
"""Which option opens which listener."""
_TLS_PORT = 8883
_STOP_WITHIN_S = 8.0


def run(options: ServeOptions, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        Failure: it cannot start; the message says what to do.
    """
    start_logging(options.log_level, as_json=options.json)
    listeners = listeners_of(options)
    _check_ports(options, listeners)
    store = "memory:" if options.memory else f"sqlite:{options.data / 'ringline.sqlite'}"
    config = ServerConfig(
        listeners=listeners, store=store, durability=options.durability, users=options.users, settings=settings
    )
    calm_collector()
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            runner.run(_serve(Server(config), options, settings))
    except StoreInUse as held:
        raise Failure(ExitCode.FAILED, f"{held}; stop it, or choose another folder with --data") from held
    except RinglineError as failed:
        raise Failure(ExitCode.FAILED, str(failed)) from failed


def listeners_of(options: ServeOptions) -> dict[str, Listener]:
    """The listeners that the options ask for, by name.

    Raises:
        Failure: the certificate or its key cannot be used.
    """
    if options.tls_cert is not None:
        try:
            tls_context(options.tls_cert, options.tls_key or options.tls_cert)
        except CannotListen as bad:
            raise Failure(ExitCode.WRONG_USE, f"{bad}; see --tls-cert and --tls-key") from bad
    wanted = {name: getattr(options, name) for name in LISTENERS}
    if options.tls_cert is not None and options.tls_port is None:
        wanted["tls_port"] = _TLS_PORT
    return {
        LISTENERS[name]: Listener(
            host=options.host,
            port=port,
            websocket=name in ("ws_port", "wss_port"),
            certfile=options.tls_cert if name in ("tls_port", "wss_port") else None,
            keyfile=options.tls_key if name in ("tls_port", "wss_port") else None,
        )
        for name, port in wanted.items()
        if port is not None
    }


def _fastest_loop() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        loop: type[asyncio.AbstractEventLoop] = import_module("uvloop").Loop
    except ImportError:
        return None
    return loop


async def _serve(server: Server, options: ServeOptions, settings: Settings) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    await server.start()
    announce(options, settings, {name: server.ports()[listener] for name, listener in LISTENERS.items()
                                 if listener in server.ports()})  # fmt: skip
    await asked_to_stop.wait()
    with contextlib.suppress(TimeoutError):  # what was answered is on disk: nothing is lost by leaving
        await asyncio.wait_for(server.stop(), _STOP_WITHIN_S)


def _check_ports(options: ServeOptions, listeners: dict[str, Listener]) -> None:
    """Try every port first: aMQTT does not say which listener it could not open."""
    for option, name in LISTENERS.items():
        listener = listeners.get(name)
        if listener is None:
            continue
        family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
            try:
                probe.bind((listener.host, listener.port))
            except OSError as taken:
                busy = taken.errno == errno.EADDRINUSE
                why = "is in use by another program" if busy else f"cannot be opened: {taken.strerror}"
                text = f"port {listener.port} on {options.host} {why}; choose another with {flag(option)}"
                raise Failure(ExitCode.FAILED, text) from taken
