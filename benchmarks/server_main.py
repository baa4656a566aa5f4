"""The servers in Python, each a process of its own: prints how it is set up, in one line, once it listens.

`embedded`: ours. `amqtt`: stock aMQTT in its fastest configuration: an authentication plugin alone, warnings only.
"""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import uvloop
from amqtt.broker import Broker
from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.server import Server, ServerConfig, calm_collector
from ringline_broker.settings import ConnectionLimits, Settings

SHARED: Final = ["event loop uvloop", "garbage collector as `ringline serve` sets it", "log level WARNING"]
NEVER: Final = 1_000_000
UNLIMITED: Final = ConnectionLimits(
    max_devices=NEVER, max_devices_per_user=NEVER, max_devices_per_address=NEVER, max_logins=NEVER,
    max_logins_per_address=NEVER, connect_rate=NEVER, connect_burst=NEVER, max_failures=NEVER, failure_s=1,
    packet_rate=NEVER, packet_burst=NEVER,
)  # fmt: skip
"""So few users, all of them at one address, call far more than anybody would."""
LIMITED: Final = Settings(request_rate=100, request_burst=1_000, max_open=1_000)
"""What this load just does not meet; the limits of connections are not met as they are by default."""


class LetIn(BaseAuthPlugin):
    """Lets everybody in, like a server without a password file."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Yes."""
        return session.username is not None


async def embedded(options: argparse.Namespace) -> None:
    """Ours, with its default settings but for those that so few users with so many calls need."""
    site: Path | None = options.tls
    listener = Listener(port=options.port)
    if site is not None:
        listener = Listener(port=options.port, certfile=site / "server.pem", keyfile=site / "server.key")
    config = ServerConfig(
        {"default": listener},
        options.store,
        users=options.users,
        authority=site / "authority.pem" if site is not None and options.certificates else None,
        revoked=site / "revoked.pem" if site is not None and options.certificates else None,
        settings=LIMITED if options.limited else Settings(max_open=NEVER, request_rate=0),
        connections=ConnectionLimits() if options.limited else UNLIMITED,
    )
    server = Server(config)
    await server.start()
    kind = options.store.partition(":")[0]
    says = [f"store {kind}", *([f"durability {config.durability}"] if kind == "sqlite" else [])]
    says += [f"{name} {value}" for name, value in (asdict(config.settings) | asdict(config.connections)).items()]
    says += [f"logins {_logins(config)}", "TLS" if site is not None else "no TLS"]
    await serve_until_asked(says)
    await server.stop()


def _logins(config: ServerConfig) -> str:
    if config.authority is not None:
        return "by certificate"
    return "under any name" if config.users is None else "by password"


async def amqtt(options: argparse.Namespace) -> None:
    """Stock aMQTT."""
    plugins: dict[str, dict[str, Any]] = {"benchmarks.server_main.LetIn": {}}
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{options.port}"}}
    broker = Broker({"listeners": listeners, "plugins": plugins})
    await broker.start()
    says = ["plugins: one, which lets everybody in", "no check of topics", "otherwise as shipped", "no TLS"]
    await serve_until_asked(says)
    await broker.shutdown()


async def serve_until_asked(says: list[str]) -> None:
    """Say how it is set up, and stay until SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    print("; ".join([*says, *SHARED]), flush=True)
    await asked.wait()


def main() -> None:
    """Read the options and serve."""
    kinds: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, None]]] = {"embedded": embedded, "amqtt": amqtt}
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("port", type=int)
    parser.add_argument("--store", default="memory:")
    parser.add_argument("--limited", action="store_true", help="limits on everything, though none is met")
    parser.add_argument("--tls", type=Path, help="the folder of an authority, which has the server's certificate")
    parser.add_argument("--certificates", action="store_true", help="devices log in with certificates of it")
    parser.add_argument("--users", type=Path, help="the password file")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    calm_collector()
    uvloop.run(kinds[options.kind](options))


if __name__ == "__main__":
    main()
