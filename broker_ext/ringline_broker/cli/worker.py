"""`ringline worker`: the extension as a process of its own, beside any MQTT 5 broker."""

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ringline import __version__
from ringline.protocol.errors import RinglineError
from ringline_broker.cli.beside import broker_of, password_at, share_of, tls_beside
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.logs import Level, start_logging
from ringline_broker.cli.loops import fastest_loop, stop_in_time
from ringline_broker.cli.monitored import monitored, shown_at
from ringline_broker.cli.ports import HTTP_HOST, check_port
from ringline_broker.cli.printing import out, out_json
from ringline_broker.settings import Settings

if TYPE_CHECKING:
    from ringline_broker.worker import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Which broker a worker is beside, and where it keeps things.

    Attributes:
        broker: The broker, mqtt[s]://USER@HOST:PORT; its password comes from RINGLINE_PASSWORD.
        store: Where invitations are kept: redis://HOST:PORT, redis+sentinel://HOST,HOST/SERVICE or
            redis+cluster://HOST,HOST for redis and valkey (rediss in place of redis is over TLS; options follow as
            ?name=value, see docs/operations.md), sqlite:FILE, or memory:. Several workers need one of redis or valkey.
        share: The name of the share that all workers have in common, a secret; where left out RINGLINE_SHARE.
        cafile: For mqtts, a PEM file of authorities to trust instead of the system's.
        cert: For mqtts, the worker's certificate, a PEM file.
        key_: The key of the certificate, a PEM file; where left out, it is in the same file.
        permissions: Whether the worker looks after the broker's permissions: none, or dynsec for a Mosquitto with
            dynamic security, as `ringline deploy mosquitto` makes it.
        group_topics: Events of a group go once, to a topic of its own, which the worker opens to its members; with
            --permissions dynsec.
        durability: For sqlite, whether an answered request survives a power loss (full, as where left out) or the end
            of the process (normal).
        http_port: The port for /metrics, /healthz and /readyz over HTTP, closed where left out; 0 for any free one.
        http_host: The address that port is on.
        log_level: What to log of Ringline itself.
        json: JSON lines instead of text, for logs too.
    """

    broker: str = "mqtt://127.0.0.1:1883"
    store: str = "redis://127.0.0.1:6379"
    share: str = ""
    cafile: Path | None = None
    cert: Path | None = None
    key_: Path | None = None
    permissions: Literal["none", "dynsec"] = "none"
    group_topics: bool = False
    durability: Literal["full", "normal"] | None = None
    http_port: int | None = None
    http_host: str = HTTP_HOST
    log_level: Level = "info"
    json: bool = False

    def __post_init__(self) -> None:
        check_port("http_port", self.http_port)


def worker(options: WorkerOptions, settings: Settings) -> None:
    """Run a worker beside a broker, until Ctrl-C.

    It tests the broker first, and says what is missing. Any number of workers may run beside one broker, or beside a
    cluster: they share the requests, and a redis store decides between them.
    """
    start_logging(options.log_level, as_json=options.json)
    made = _new_worker(options, settings)
    from ringline_broker.service.ports import StoreInUse  # noqa: PLC0415 - slow, and needed here alone

    try:
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(_watched(made, options))
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, str(wrong)) from wrong
    except StoreInUse as held:
        raise Failure(ExitCode.FAILED, f"{held}; workers that share a store need redis") from held
    except RinglineError as failed:
        raise Failure(ExitCode.FAILED, str(failed)) from failed


def _new_worker(options: WorkerOptions, settings: Settings) -> "Worker":
    from ringline_broker.bindings.mqtt5.address import BrokerAddress  # noqa: PLC0415 - as above
    from ringline_broker.server import calm_collector  # noqa: PLC0415 - as above
    from ringline_broker.worker import Worker, WorkerConfig  # noqa: PLC0415 - as above

    share = share_of(options.share)
    if not share:
        text = (
            "give all workers the same --share NAME, or RINGLINE_SHARE, and keep it secret: `openssl rand -hex 16`\n"
            "Beside a broker of `ringline deploy mosquitto DIR`, load what it has: set -a; . DIR/worker.env; set +a"
        )
        raise Failure(ExitCode.WRONG_USE, text)
    address = broker_of(options.broker)
    password = password_at(address)
    broker = BrokerAddress(
        address.host, address.port, address.user, None if password is None else password.encode(),
        tls_beside(options, address),
    )  # fmt: skip
    if options.group_topics and options.permissions == "none":
        raise Failure(ExitCode.WRONG_USE, "--group-topics needs a broker that is told who is in a group: give "
                      "--permissions dynsec too, beside a Mosquitto with dynamic security")
    if options.durability is not None and not options.store.startswith("sqlite:"):
        raise Failure(ExitCode.WRONG_USE, "--durability is for a sqlite store: what a redis keeps is said in its own "
                      "configuration (appendonly, appendfsync), and with wait= in --store")
    calm_collector()
    config = WorkerConfig(
        broker, share, options.store, options.durability or "full", settings,
        manages_permissions=options.permissions == "dynsec", has_group_topics=options.group_topics,
        timed=options.http_port is not None,
    )  # fmt: skip
    return Worker(config)


async def _watched(made: "Worker", options: WorkerOptions) -> None:
    async with monitored(made, options.http_port, options.http_host) as url:
        await _work(made, options, url)


async def _work(made: "Worker", options: WorkerOptions, url: str | None) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    starting = asyncio.create_task(made.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
        _announce(options, url)
        await stopping
    stopping.cancel()
    await stop_in_time(made.stop())


def _announce(options: WorkerOptions, url: str | None) -> None:
    from ringline_broker.stores.redis.url import without_passwords  # noqa: PLC0415 - as above

    broker, store = without_passwords(options.broker), without_passwords(options.store)
    if options.json:
        out_json(event="working", pid=os.getpid(), broker=broker, store=store, http=url)
        return
    out(f"ringline {__version__} works beside {broker}, and keeps invitations in {store}")
    if url is not None:
        out(shown_at(url))
    out("Ctrl-C ends it")
