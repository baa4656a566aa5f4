"""The servers in Python, each a process of its own: prints how it is set up, in one line, once it listens.

`embedded`: ours. `amqtt`: stock aMQTT in its fastest configuration: an authentication plugin alone, warnings only.
"""

import argparse
import asyncio
import logging
import signal
from dataclasses import asdict
from typing import Any

import uvloop
from amqtt.broker import Broker
from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.server import Server, ServerConfig, calm_collector
from ringline_broker.settings import Settings

SHARED = ["event loop uvloop", "garbage collector as `ringline serve` sets it", "log level WARNING", "no TLS"]


class LetIn(BaseAuthPlugin):
    """Lets everybody in, like a server without a password file."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Yes."""
        return session.username is not None


async def embedded(port: int, store: str) -> None:
    """Ours, with its default settings but for `max_open`, which so few users with so many invitations need."""
    config = ServerConfig({"default": Listener(port=port)}, store, settings=Settings(max_open=1_000_000))
    server = Server(config)
    await server.start()
    kind = store.partition(":")[0]
    says = [f"store {kind}", *([f"durability {config.durability}"] if kind == "sqlite" else [])]
    says += [f"{name} {value}" for name, value in asdict(config.settings).items()]
    await serve_until_asked(says)
    await server.stop()


async def amqtt(port: int, _store: str) -> None:
    """Stock aMQTT."""
    plugins: dict[str, dict[str, Any]] = {"benchmarks.server_main.LetIn": {}}
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": plugins})
    await broker.start()
    await serve_until_asked(["plugins: one, which lets everybody in", "no check of topics", "otherwise as shipped"])
    await broker.shutdown()


async def serve_until_asked(says: list[str]) -> None:
    """Say how it is set up, and stay until SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    print("; ".join([*says, *SHARED]), flush=True)
    await asked.wait()


def main() -> None:
    """Read the options and serve."""
    kinds = {"embedded": embedded, "amqtt": amqtt}
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("port", type=int)
    parser.add_argument("--store", default="memory:")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    calm_collector()
    uvloop.run(kinds[options.kind](options.port, options.store))


if __name__ == "__main__":
    main()
