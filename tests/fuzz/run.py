"""A run of the fuzzer: an attacked server, an honest pair on it, and what is left when the attackers are gone."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tests.fuzz.feeder import Feeder
from tests.fuzz.honest import HonestPair
from tests.fuzz.inputs import CHUNK, Input, Inputs
from tests.fuzz.server import Census, Found, FuzzedServer

MOST_GROWTH_KIB: Final = 32_768
"""Between the warm-up and the end. Caches that have a bound are still filling up for a while; what is not forgotten
after an input adds up to more than this in a long run: 40 bytes an input in a million.
"""
_WARM_UP: Final = 0.2
GONE_S = 10.0
"""Time for what the server has to do with connections that are over."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to feed.

    Attributes:
        seed: of the inputs.
        first: the first input's number, a multiple of CHUNK.
        count: how many, rounded up to whole chunks.
        defaults: whether the server has the limits it has by default.
        fault: one to build in.
    """

    seed: int
    first: int
    count: int
    defaults: bool = False
    fault: str = ""

    @property
    def chunks(self) -> range:
        """Their chunks."""
        return range(self.first // CHUNK, -(-(self.first + self.count) // CHUNK))


def fuzz(plan: Plan, folder: Path, tell: Tell) -> None:
    """Feed it all.

    Raises:
        Found: something is wrong; the message names the input, as far as one alone is to blame.
    """
    tell(f"seed {plan.seed}, inputs {plan.first}-{plan.first + plan.count - 1}, {_limits(plan)}")
    inputs = Inputs(plan.seed)
    with FuzzedServer(folder / "fuzzed", defaults=plan.defaults, fault=plan.fault) as server:
        feeder = Feeder(server, inputs, spread=plan.defaults)
        try:
            _attack(plan, server, feeder, tell)
        except* Found as found:
            said = "\n".join(str(one) for one in _leaves(found))
            guilty = _guilty(plan, inputs, sorted(set(feeder.last)), folder)
            raise Found(f"seed {plan.seed}: {said}\n{guilty}") from None


def feed_only(plan: Plan, numbers: list[int], folder: Path) -> tuple[Input, Found] | None:
    """Feed a few inputs, one after the other and each on its own connection, to a fresh server: the one that it did not
    stand, and what it said; None where it stood all.
    """
    fed: list[Input] = []
    try:
        with FuzzedServer(folder, defaults=plan.defaults, fault=plan.fault) as server:
            feeder = Feeder(server, Inputs(plan.seed), spread=plan.defaults)
            _run(feeder.feed_one_by_one(numbers, fed))
            server.census()  # what nobody has seen yet comes up when the garbage is collected
    except Found as found:
        return fed[-1], found
    return None


def describe(one: Input) -> str:
    """An input in words and hex."""
    who = f", as {one.user}" if one.user else ""
    return f"input {one.number} ({one.door.value}{who}), {len(one.data)} bytes: {one.data.hex()}"


def _attack(plan: Plan, server: FuzzedServer, feeder: Feeder, tell: Tell) -> None:
    chunks = plan.chunks
    with HonestPair(server) as pair:
        before = server.census()
        began = time.monotonic()
        warm_up = chunks[: int(len(chunks) * _WARM_UP)]
        _run(feeder.feed(iter(warm_up)))
        warm = end = _left_alone(server, before)
        # in several parts, to tell how it goes
        rest = chunks[len(warm_up) :]
        parts = 8 if plan.count >= 100_000 else 1
        for at in range(parts):
            _run(feeder.feed(iter(rest[at * len(rest) // parts : (at + 1) * len(rest) // parts])))
            end = _left_alone(server, before)
            pair.check()
            if parts > 1:
                tell(f"{feeder.fed.total()} inputs, {pair.calls} calls, {end.rss_kib} KiB")
        seconds = time.monotonic() - began
    _report(plan, feeder, pair, (before, warm, end), seconds, tell)
    if end.rss_kib - warm.rss_kib > MOST_GROWTH_KIB:
        raise Found(f"its memory grew from {warm.rss_kib} to {end.rss_kib} KiB; objects: {end.ours}")


def _left_alone(server: FuzzedServer, before: Census) -> Census:
    """The census once nobody is left but who was there before.

    Raises:
        Found: somebody is.
    """
    until = time.monotonic() + GONE_S
    while not (now := server.census()).is_as_before(before):
        if time.monotonic() > until:
            raise Found(f"everybody left, and there is still {now}\nbefore it was {before}")
    return now


def _report(
    plan: Plan, feeder: Feeder, pair: HonestPair, seen: tuple[Census, Census, Census], seconds: float, tell: Tell
) -> None:
    before, warm, end = seen
    tell(f"{feeder.fed.total()} inputs in {seconds:.0f} s, {_limits(plan)}; honest calls completed: {pair.calls}, "
         f"the longest took {pair.longest_ms:.0f} ms")  # fmt: skip
    for door, count in feeder.fed.most_common():
        tell(f"  {count:8} {door.value}")
    tell(f"  {feeder.turned_away:8} turned away before they could be sent")
    tell(f"connections: {feeder.connections} made, {sum(end.log.values())} complaints in the log, "
         f"{feeder.ended_by_server} of those logged in ended by the server")  # fmt: skip
    for what, count in end.log.items():
        tell(f"  {count:8} {what}")
    tell(f"KiB of memory: {before.rss_kib} before, {warm.rss_kib} after the warm-up, {end.rss_kib} at the end; "
         f"Python objects {before.objects}, {warm.objects}, {end.objects}")  # fmt: skip
    devices = end.devices - before.devices
    tell(f"left of them: {end.sockets - before.sockets} sockets, {devices} objects of connections, "
         f"{end.tasks - before.tasks} tasks; the server took {end.cpu_s:.0f} s of processor time")  # fmt: skip
    tell(f"the extension: {end.counts}")


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run, on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=import_module("uvloop").Loop) as runner:
        runner.run(work)


def _limits(plan: Plan) -> str:
    return "limits as by default" if plan.defaults else "limits out of the way"


def _leaves(found: BaseExceptionGroup[Found]) -> list[Found]:
    """The exceptions in a group of groups."""
    out: list[Found] = []
    for one in found.exceptions:
        out += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return out


def _guilty(plan: Plan, inputs: Inputs, chunks: list[int], folder: Path) -> str:
    """Feed the last inputs again, one by one, and name the first that does it."""
    numbers = [one.number for index in chunks for one in inputs.chunk(index)]
    if not numbers:
        return "before the first input"
    again = feed_only(plan, numbers, folder / "again")
    if again is None:
        return f"fed again one by one, none of the last does it: --seed {plan.seed} --only {numbers[0]}-{numbers[-1]}"
    one, _ = again
    alone = feed_only(plan, [one.number], folder / "alone")
    only = f"{one.number}" if alone else f"{numbers[0]}-{one.number}"
    return f"{describe(one)}\nagain: make fuzz ARGS='--seed {plan.seed} --only {only}{' --defaults' * plan.defaults}'"
