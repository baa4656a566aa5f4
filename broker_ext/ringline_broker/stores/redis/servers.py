"""Where the shards are: on one server, on that which the sentinels name, or on the nodes of a cluster."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from hiredis import ReplyError

from ringline_broker.service.ports import StoreUnavailable, Unusable
from ringline_broker.stores.redis.keys import Keys
from ringline_broker.stores.redis.lane import Lane
from ringline_broker.stores.redis.refusals import DEMOTED, refused, word
from ringline_broker.stores.redis.scripts import LOAD, Command, Reply
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.slots import slot_of
from ringline_broker.stores.redis.url import Address, Login, Options
from ringline_broker.stores.redis.wire import Wire, connect

_ROUNDS: Final = 4
"""So often a command is sent elsewhere that was not done."""
_LOOK_AGAIN_S: Final = 0.1
_HELLO: Final[Sequence[Command]] = [("ROLE",), *LOAD]


class Places(Protocol):
    """Knows the way to each shard."""

    async def lane(self, shard: int) -> Lane:
        """The way to a shard; raises StoreUnavailable where it is not known."""
        ...

    def moved(self, shard: int, reply: ReplyError) -> bool:
        """A server said that the shard is elsewhere; whether we can go there."""
        ...

    def lost(self, shard: int) -> None:
        """A shard's server does not answer."""
        ...

    def lanes(self) -> Sequence[Lane]:
        """All ways that are open."""
        ...

    async def close(self) -> None:
        """Finish what waits, and let go of all connections."""
        ...


class Servers:
    """Runs commands where their shard is."""

    def __init__(self, options: Options, keys: Keys, time: ServerTime) -> None:
        self._keys = keys
        self._places: Places = (
            _Cluster(options, keys, time) if options.kind == "cluster" else _OnePlace(options, time)
        )

    async def run(self, shard: int, commands: Sequence[Command]) -> list[Reply]:
        """Have commands about one shard done, together with all that waits.

        Raises:
            StoreUnavailable: they were not done, or it is not known.
        """
        lane = await self._places.lane(shard)
        try:
            replies = await lane.run(self._keys.base(shard), commands)
        except StoreUnavailable:
            self._places.lost(shard)
            raise
        if any(isinstance(reply, ReplyError) for reply in replies):
            return await self._mend(shard, lane, commands, replies)
        return replies

    async def later(self, shard: int, commands: Sequence[Command]) -> None:
        """Have commands done before the next, or soon; nobody hears what becomes of them."""
        (await self._places.lane(shard)).later(self._keys.base(shard), commands)

    async def close(self) -> None:
        """Finish what waits, and let go of all connections."""
        await self._places.close()

    async def _mend(self, shard: int, lane: Lane, commands: Sequence[Command], replies: list[Reply]) -> list[Reply]:
        """Sends anew what was not done; what was done is not done twice."""
        for _ in range(_ROUNDS):
            again = [at for at, reply in enumerate(replies) if isinstance(reply, ReplyError)]
            if not again:
                return replies
            for at in again:
                self._look_elsewhere(shard, lane, replies[at])
            lane = await self._places.lane(shard)
            sent = await lane.run(self._keys.base(shard), [commands[at] for at in again])
            for at, reply in zip(again, sent, strict=True):
                replies[at] = reply
        raise StoreUnavailable(f"redis at {lane.where}: {next(r for r in replies if isinstance(r, ReplyError))}")

    def _look_elsewhere(self, shard: int, lane: Lane, reply: ReplyError) -> None:
        """Find out where to send anew what was refused; raises where that is of no use."""
        kind = word(reply)
        if kind == "MOVED" and self._places.moved(shard, reply):
            return
        if kind in DEMOTED:
            lane.redial()
            self._places.lost(shard)
        raise refused(lane.where, reply)


class _OnePlace:
    """One server has it all."""

    def __init__(self, options: Options, time: ServerTime) -> None:
        self._options = options
        where = f"{options.service} ({_names(options.addresses)})" if options.kind else options.addresses[0]
        self._lane = Lane(where, self._dial, options, time)

    async def lane(self, shard: int) -> Lane:  # noqa: ARG002 - there is but one
        return self._lane

    def moved(self, shard: int, reply: ReplyError) -> bool:  # noqa: ARG002 - likewise
        return False

    def lost(self, shard: int) -> None:
        """The next connection looks anew."""

    def lanes(self) -> Sequence[Lane]:
        return (self._lane,)

    async def close(self) -> None:
        await self._lane.close()

    async def _dial(self) -> Wire:
        options = self._options
        address = await _primary(options) if options.kind else options.addresses[0]
        return await _connect_to_primary(address, options)


class _Cluster:
    """Each shard is where its slot is, which may change at any time."""

    def __init__(self, options: Options, keys: Keys, time: ServerTime) -> None:
        self._options = options
        self._time = time
        self._slots = [slot_of(keys.base(shard)) for shard in keys.shards]
        self._homes: dict[int, Address] = {}
        self._known = set(options.addresses)
        self._lanes: dict[Address, Lane] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    async def lane(self, shard: int) -> Lane:
        home = self._homes.get(self._slots[shard])
        if home is None:
            await self._look()
            home = self._homes.get(self._slots[shard])
        if home is None:
            raise StoreUnavailable(
                f"the cluster ({_names(self._options.addresses)}) has nobody for one of its slots",
                "wait for its failover, or mend it",
            )
        return self._lane_to(home)

    def moved(self, shard: int, reply: ReplyError) -> bool:
        host, _, port = str(reply).split(" ")[2].rpartition(":")
        before = self._homes.pop(self._slots[shard], None)
        if host or before:
            self._homes[self._slots[shard]] = Address(host or (before.host if before else ""), int(port))
        return True

    def lost(self, shard: int) -> None:
        self._homes.pop(self._slots[shard], None)

    def lanes(self) -> Sequence[Lane]:
        return tuple(self._lanes.values())

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()), *self._closing)

    def _lane_to(self, home: Address) -> Lane:
        lane = self._lanes.get(home)
        if lane is None:
            lane = Lane(home, lambda: _connect_to_primary(home, self._options), self._options, self._time)
            self._lanes[home] = lane
        return lane

    async def _look(self) -> None:
        """Ask the nodes who has which slot; one look serves all who wait for it."""
        loop = asyncio.get_running_loop()
        if self._looking is None:
            if loop.time() < self._looked_at + _LOOK_AGAIN_S:
                return
            self._looking = loop.create_task(self._look_once())
        await asyncio.shield(self._looking)

    async def _look_once(self) -> None:
        try:
            views = await _poll(tuple(self._known), self._options.login, ("CLUSTER", "SLOTS"), self._options)
            said: dict[int, Counter[Address]] = {slot: Counter() for slot in self._slots}
            named: set[Address] = set()
            for asked, view in views:
                for start, end, primary, *_ in view:
                    address = Address((primary[0] or b"").decode() or asked.host, int(primary[1]))
                    named.add(address)
                    for slot in self._slots:
                        said[slot][address] += start <= slot <= end
            self._forget_all_but(named)
            for slot, votes in said.items():
                for address, count in votes.most_common(1):
                    if count:
                        self._homes.setdefault(slot, address)
        finally:
            self._looking = None
            self._looked_at = asyncio.get_running_loop().time()

    def _forget_all_but(self, named: set[Address]) -> None:
        """Else each look would wait for those that are gone, and connections to former primaries would stay."""
        self._known = named.union(self._options.addresses)
        for address in self._lanes.keys() - named:
            closing = asyncio.get_running_loop().create_task(self._lanes.pop(address).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _connect_to_primary(address: Address, options: Options) -> Wire:
    choose: Sequence[Command] = [("SELECT", options.db)] if options.db else ()
    wire = await connect(address, options.login, options.tls, [*choose, *_HELLO])
    role, *more = wire.hello[-len(_HELLO)]
    if role != b"master":
        wire.abort()
        of = f"{more[0].decode()}:{more[1]}" if role == b"slave" else "nobody we know"
        raise StoreUnavailable(
            f"redis at {address} is a read-only replica of {of}",
            "give the primary's address in the store's URL, or redis+sentinel:// which finds it",
        )
    return wire


async def _primary(options: Options) -> Address:
    """The server that most sentinels name."""
    asked: Command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.service)
    answers = await _poll(options.addresses, options.sentinel_login, asked, options)
    votes = Counter(Address(reply[0].decode(), int(reply[1])) for _, reply in answers if reply is not None)
    if not votes:
        raise StoreUnavailable(
            f"the sentinels ({_names(options.addresses)}) know no service {options.service!r}",
            "correct it in the store's URL, or have them watch it",
        )
    return votes.most_common(1)[0][0]


async def _poll(
    addresses: Sequence[Address], login: Login, command: Command, options: Options
) -> list[tuple[Address, Reply]]:
    """What each of these says, who answers soon enough.

    Raises:
        StoreUnavailable: nobody does.
    """

    async def ask(address: Address) -> Reply:
        async with asyncio.timeout(options.timeout_ms / 2_000):
            wire = await connect(address, login, options.tls, [command])
        await wire.close()
        return wire.hello[-1]

    said = await asyncio.gather(*(ask(address) for address in addresses), return_exceptions=True)
    answers: list[tuple[Address, Reply]] = []
    why: BaseException | None = None
    for address, reply in zip(addresses, said, strict=True):
        if isinstance(reply, BaseException):
            why = reply
        else:
            answers.append((address, reply))
    if not answers:
        what, remedy = (why.what, why.remedy) if isinstance(why, Unusable) else (str(why) or "they do not answer", "")
        raise StoreUnavailable(f"none of {_names(addresses)} can be asked: {what}", remedy) from why
    return answers


def _names(addresses: Sequence[Address]) -> str:
    return ", ".join(map(str, addresses))
