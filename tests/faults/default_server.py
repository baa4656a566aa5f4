"""A server as `ringline serve` starts it, with its default settings and limits.

`python -m tests.faults.default_server --data FILE --users FILE` prints its port, serves until its standard input ends,
and then prints what it did, as JSON.
"""

import argparse
import asyncio
import json
import logging
import sys
from pathlib import Path

import uvloop

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.server import Server, ServerConfig, allow_many_connections, calm_collector
from ringline_broker.settings import ConnectionLimits


async def serve(data: Path, users: Path) -> None:
    """Serve until the standard input ends."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    server = Server(ServerConfig({"default": Listener(port=0)}, f"sqlite:{data}", users=users))
    await server.start()
    print(server.port, flush=True)  # noqa: T201 - read by the test
    await over.wait()
    counts = server.counts()
    await server.stop()
    print(json.dumps(counts), flush=True)  # noqa: T201 - likewise


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    allow_many_connections(ConnectionLimits())
    calm_collector()
    uvloop.run(serve(arguments.data, arguments.users))


if __name__ == "__main__":
    main()
