"""A thousand devices, two hundred of which do nothing but harm, on a server with its default settings and limits.

The honest ones call each other meanwhile. Abusers come from other addresses, as they would in life; in a second test
they are strangers behind the same address as the honest.
"""

import json
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from benchmarks.measure import cpu_seconds, resident_bytes
from ringline.client import SignalingClient
from ringline.protocol.answers import decode_answer
from ringline_broker.bindings.amqtt.users import UsersFile
from tests.faults.abusers import HOME, abusers_of, bystander
from tests.faults.abuses import ABUSES, STRANGERS
from tests.faults.telling import Tell
from tests.support.bound import BOUND_S
from tests.support.recorder import Recorder

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's many loopback addresses, and /proc"),
    pytest.mark.xdist_group("heavy"),
]

ROOT: Final = Path(__file__).parents[2]
PAIRS, CALLS = 20, 10
BYSTANDERS, ABUSERS = 760, 200
GROUPS_OF_MANY: Final = "groups_of_many"
"""Has a test of its own: its victims' devices are made to subscribe and sync."""
WORD: Final = "secret"
MIB: Final = 1 << 20


class Helper:
    """A process that is told and tells lines.

    Args:
        log: the file for its log.
        words: the module to run, and its arguments.
    """

    def __init__(self, log: Path, *words: str) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # closes its pipes
            self.process.kill()

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, f"a process ended: {self.log.read_text()[-2_000:]}"
        return line

    def tell(self, line: str) -> None:
        """Say something."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> Any:
        """End its input; what it says in the end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return json.loads(self.line())


class Heard(Recorder):
    """Remembers what is about honest calls, and counts the rest by who brought it about."""

    def __init__(self, calls: set[str]) -> None:
        super().__init__()
        self._calls = calls
        self.rang = Counter[str]()

    def _note(self, name: str, event: Any) -> None:
        if name in ("connected", "disconnected") or getattr(event, "invite_id", None) in self._calls:
            super()._note(name, event)
        elif name == "receive_new_invitation":
            self.rang[event.inviter] += 1


class HonestClient(SignalingClient):
    """A client that counts what it is refused."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.refusals = Counter[str]()

    def on_message(self, topic: str, payload: bytes) -> None:
        if topic == self.subscriptions[1] and (err := decode_answer(payload).err) is not None:
            self.refusals[err.name] += 1
        super().on_message(topic, payload)


class Honest:
    """A device of somebody honest, which accepts every honest call."""

    def __init__(self, port: int, user: str, calls: set[str]) -> None:
        self.heard = Heard(calls)
        self.client = HonestClient(
            f"mqtt://{HOME}:{port}", user=user, password=WORD, device="phone", listener=self.heard
        )
        self.heard.react("receive_new_invitation", lambda event: self.client.accept(event.invite_id))
        self.user = user
        self._calls = calls

    def call(self, callee: str) -> float:
        """Ring somebody until it is accepted; ms from the invite to the end."""
        iid, began = secrets.token_hex(8), time.perf_counter()
        self._calls.add(iid)
        self.client.invite([callee], timeout=120, invite_id=iid).result(BOUND_S)
        event = self.heard.wait("invitation_ended", BOUND_S, invite_id=iid)
        assert event.outcome == "accepted", event
        return (time.perf_counter() - began) * 1000


def caller(number: int) -> str:
    """A user who calls."""
    return f"caller-{number}"


def callee(number: int) -> str:
    """A user who is called."""
    return f"callee-{number}"


HONEST: Final = [name(n) for n in range(PAIRS) for name in (caller, callee)]
NEWCOMERS: Final = [f"newcomer-{n}" for n in range(10)]
SOON_S: Final = 3.0


class Fair:
    """A server, the honest on it, and the crowd.

    Args:
        folder: for the server's files.
        kinds: of abuse.
        bystanders, abusers: how many.
        source: where the abusers come from; an address for each where empty.
    """

    def __init__(self, folder: Path, kinds: list[str], bystanders: int, abusers: int, source: str = "") -> None:
        self._stack = ExitStack()
        self._abusers = abusers_of(kinds, abusers)
        self._users = folder / "users"
        harmless = [*HONEST, *NEWCOMERS, *map(bystander, range(bystanders))]
        self._write_users([*harmless, *(user for _, user in self._abusers)])
        files = (f"--data={folder / 'ringline.sqlite'}", f"--users={self._users}")
        self.server = self._stack.enter_context(Helper(folder / "server.log", "tests.faults.default_server", *files))
        self.port = int(self.server.line())
        words = (str(self.port), str(bystanders), ",".join(kinds), str(abusers), source, ",".join(HONEST))
        self.crowd = self._stack.enter_context(Helper(folder / "crowd.log", "tests.faults.abusers", *words))
        self._calls: set[str] = set()
        self.honest = {user: self._come(user) for user in HONEST}
        assert self.crowd.line() == "ready"
        self._block()
        self.took_ms: list[float] = []
        self.before, self._cpu, self._began = resident_bytes(self.pid), cpu_seconds(self.pid), time.monotonic()

    @property
    def pid(self) -> int:
        """The server's."""
        return self.server.process.pid

    def close(self) -> None:
        for one in self.honest.values():
            one.client.close()
        self._stack.close()

    def _write_users(self, users: list[str]) -> None:
        """One password for all, with a hash that costs little: so many would take minutes to log in."""
        cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(WORD)
        UsersFile(self._users).write(dict.fromkeys(users, cheap))

    def _come(self, user: str) -> Honest:
        one = Honest(self.port, user, self._calls)
        one.client.connect()
        self._stack.callback(one.client.close)
        assert one.client.wait_connected(BOUND_S), f"{user} cannot connect"
        return one

    def _block(self) -> None:
        users = [user for kind, user in self._abusers if kind == "blocked"]
        if users:
            for handle in [one.client.blocklist.add(users) for one in self.honest.values()]:
                handle.result(BOUND_S)

    def have_abused(self) -> None:
        """Have the abuse begin."""
        self.crowd.tell("begin")
        assert self.crowd.line() == "under way"

    def newcomers_let_in(self) -> int:
        """How many of some that come only now are connected soon."""
        some = [Honest(self.port, user, set()) for user in NEWCOMERS]
        for one in some:
            self._stack.callback(one.client.close)
            one.client.connect()
        until = time.monotonic() + SOON_S
        return sum(one.client.wait_connected(max(0.0, until - time.monotonic())) for one in some)

    def make_calls(self, count: int) -> None:
        """Have every honest caller make so many calls, one after the other."""
        failed: list[BaseException] = []

        def make(number: int) -> None:
            try:
                for _ in range(count):
                    if failed:
                        return
                    self.took_ms.append(self.honest[caller(number)].call(callee(number)))
            except BaseException as why:  # noqa: BLE001 - told on the test's own thread
                failed.append(why)

        threads = [threading.Thread(target=make, args=(number,)) for number in range(PAIRS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def figures(self) -> dict[str, Any]:
        """What was counted so far, of the honest and of the server."""
        seconds = time.monotonic() - self._began
        return {
            "honest_calls": len(self.took_ms),
            "honest_refusals": sum(one.client.refusals.total() for one in self.honest.values()),
            "median_call_ms": round(statistics.median(self.took_ms or [0])),
            "longest_call_ms": round(max(self.took_ms, default=0)),
            "seconds": round(seconds, 1),
            "server_cpu_percent": round(100 * (cpu_seconds(self.pid) - self._cpu) / seconds),
            "rss_MiB": f"{self.before / MIB:.0f} to {resident_bytes(self.pid) / MIB:.0f}",
        }

    def assert_all_is_well(self) -> None:
        """Every honest call was heard to the end, once, by both; nobody honest was refused anything."""
        for number in range(PAIRS):
            for one, names in (
                (self.honest[caller(number)], ["invitation_created", "invitee_accepted", "invitation_ended"]),
                (self.honest[callee(number)], ["receive_new_invitation", "invitee_accepted", "invitation_ended"]),
            ):
                iids = {event.invite_id for name, event in one.heard.all if name == names[0]}
                assert len(iids) == len(self.took_ms) // PAIRS
                assert all(one.heard.names(iid) == names for iid in iids), one.heard.all
                one.heard.assert_nothing_twice()
                assert one.client.refusals == Counter(), f"{one.user} was refused"

    def rang(self, kind: str) -> int:
        """How often one who abuses in this way rang somebody honest."""
        users = {user for one, user in self._abusers if one == kind}
        return sum(one.heard.rang[user] for one in self.honest.values() for user in users)


@contextmanager
def fair(folder: Path, kinds: list[str], bystanders: int, abusers: int, source: str = "") -> Generator[Fair]:
    """A Fair, ended when left."""
    made = Fair(folder, kinds, bystanders, abusers, source)
    try:
        yield made
    finally:
        made.close()


def totals(tallies: dict[str, dict[str, int]]) -> dict[str, int]:
    """All kinds together."""
    return {name: sum(one[name] for one in tallies.values()) for name in ("sent", "ended", "too_many", "refused")}


def call_among_abuse(crowd: Fair, tell: Tell, calls: int = CALLS) -> None:
    """Have the honest call while the others abuse; print what came of it, and see that all is well."""
    crowd.have_abused()
    try:
        crowd.make_calls(calls)
    finally:
        came_soon = crowd.newcomers_let_in()
        lost = [one.user for one in crowd.honest.values() if one.heard.events("disconnected")]
        figures, came, counts = crowd.figures(), crowd.crowd.stop(), crowd.server.stop()
        tell(**figures, honest_lost=len(lost), newcomers_let_in=f"{came_soon} of 10", bystanders_lost=came["lost"])
        tell(**{f"abusive_{name}": number for name, number in totals(came["tallies"]).items()})
        for kind, tally in came["tallies"].items():
            tell(kind=kind, **tally)
        tell(**{f"server_{name}": number for name, number in counts.items()})
    crowd.assert_all_is_well()
    assert lost == [], "these lost their connection"
    assert came["lost"] == 0, "bystanders lost their connections"


def test_honest_calls_among_two_hundred_who_abuse(tmp_path: Path, tell: Tell) -> None:
    kinds = [kind for kind in ABUSES if kind != GROUPS_OF_MANY]
    with fair(tmp_path, kinds, BYSTANDERS, ABUSERS) as crowd:
        call_among_abuse(crowd, tell)
        assert crowd.rang("blocked") == 0
        assert crowd.rang("everybody") > 0


def test_honest_calls_while_strangers_put_everybody_into_groups(tmp_path: Path, tell: Tell) -> None:
    with fair(tmp_path, [GROUPS_OF_MANY], BYSTANDERS // 4, ABUSERS // 20) as crowd:
        call_among_abuse(crowd, tell, 5)


def test_strangers_behind_the_same_address(tmp_path: Path, tell: Tell) -> None:
    """Devices that are logged in keep working. A new one of the same address may be turned away, and is told so."""
    with fair(tmp_path, list(STRANGERS), 0, ABUSERS, HOME) as crowd:
        call_among_abuse(crowd, tell)
