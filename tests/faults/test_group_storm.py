"""Large groups and membership that changes under load, on a real broker with lean devices; the proofs are counts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from benchmarks.wire import LoadDevice, connect
from ringline.protocol.answers import Answer, decode_answer
from ringline.protocol.events import Invited, decode_event, decode_events
from ringline.protocol.group_requests import AddMembers, Count, CreateGroup, RemoveMembers
from ringline.protocol.requests import Accept, Invite, encode_request
from ringline.protocol.shapes import GroupEvent, Request
from ringline.protocol.topics import Topics
from tests.support.bound import BOUND_S
from tests.support.raw import request_id
from tests.support.running import Ring, settings

TOPICS: Final = Topics()
GID: Final = "crowd"


class Member:
    """One device in the group, which remembers the versions it heard on the group's topic."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.versions: list[int] = []
        self.befores: list[int] = []
        self.invited: list[str] = []
        self.ends: list[str] = []
        self._answers: dict[bytes, asyncio.Future[Answer]] = {}
        self._device: LoadDevice | None = None
        self._changed = asyncio.Condition()

    async def connect(self, port: int, *, in_group: bool = True) -> "Member":
        topics = [TOPICS.events(self.user), TOPICS.answers(self.user, "d")]
        topics += [TOPICS.group_events(GID)] if in_group else []
        self._device = await connect(port, self.user, topics, self._hear, lambda *_: None)
        return self

    def close(self) -> None:
        if self._device is not None and self._device.transport is not None:
            self._device.transport.abort()

    def _hear(self, _device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        if topic.endswith(b"/d/d"):
            answer = decode_answer(payload)
            self._answers.pop(answer.re).set_result(answer)
            return
        for raw in decode_events(payload):
            event = decode_event(raw)
            if isinstance(event, GroupEvent):
                if topic == TOPICS.group_events(GID).encode():
                    self.versions.append(event.n)
                    self.befores.append(event.p)
            elif isinstance(event, Invited):
                self.invited.append(event.iid)
            elif event.end is not None:
                self.ends.append(event.iid)

    def send(self, request: Request) -> None:
        assert self._device is not None
        self._device.publish(TOPICS.requests(self.user).encode(), encode_request(request))

    async def ask(self, request: Request) -> Answer:
        """A request about a group, and its answer."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = answered
        self.send(request)
        answer = await asyncio.wait_for(answered, BOUND_S)
        assert answer.err is None, answer.err
        return answer


def on(request: type[Any], **fields: Any) -> Any:
    return request(id=request_id(), dev="d", gid=GID, **fields)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that messages bring about."""

    async def look() -> None:
        loop = asyncio.get_running_loop()
        while not true():
            turn: asyncio.Future[None] = loop.create_future()
            loop.call_later(0.01, turn.set_result, None)
            await turn

    await asyncio.wait_for(look(), BOUND_S)


async def crowd(port: int, users: list[str]) -> tuple[Member, list[Member]]:
    """The owner, and a group of these, all connected."""
    owner = await Member("owner").connect(port, in_group=False)
    await owner.ask(on(CreateGroup, preset="meeting"))
    for at in range(0, len(users), 200):
        await owner.ask(on(AddMembers, to=tuple(users[at : at + 200])))
    return owner, [await Member(user).connect(port) for user in users]


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main(), 100)

    asyncio.run(bounded())


def test_a_thousand_members_hear_an_invitation_as_one_publish(store_url: str) -> None:
    with Ring(store_url, config=settings(max_invitees=200)) as ring:

        async def main() -> None:
            owner, members = await crowd(ring.port, [f"m{n:04}" for n in range(1_000)])
            before = ring.on_loop(ring.server.counts)
            invitees = tuple(member.user for member in members[:100])
            owner.send(Invite(id=request_id(), dev="d", iid="i1", to=invitees, gid=GID, timeout=600))
            await until(lambda: all(member.invited == ["i1"] for member in members))
            after = ring.on_loop(ring.server.counts)
            publishes = after["messages"] - before["messages"]
            for member in members[:100]:
                member.send(Accept(id=request_id(), dev="d", iid="i1"))
            await until(lambda: all(member.ends == ["i1"] for member in members))
            last = ring.on_loop(ring.server.counts)
            commits, answers = last["commits"] - after["commits"], last["messages"] - after["messages"]
            print(  # noqa: T201 - the proof is a count
                f"\n1,000 members: {publishes} publish for the invitation; 100 accepts at once: {commits} commits, "
                f"{answers} publishes"
            )
            assert publishes == 1
            assert commits == answers
            assert commits <= 50
            for member in (owner, *members):
                member.close()

        run(main)


def test_nobody_removed_gets_a_message_past_the_answer_and_nobody_else_misses_one(store_url: str) -> None:
    with Ring(store_url) as ring:

        async def main() -> None:
            stable = [f"s{n:02}" for n in range(25)]
            passing = [f"p{n:03}" for n in range(100)]
            owner, members = await crowd(ring.port, [*stable, *passing])
            counting = await Member("s99").connect(ring.port, in_group=False)
            await owner.ask(on(AddMembers, to=("s99",)))
            start = max(len(member.versions) for member in members)
            removed: dict[str, int] = {}
            done = asyncio.Event()

            async def count() -> int:
                counts = 0
                while not done.is_set() or counts < 900:
                    await counting.ask(on(Count, key="seq", add=1))
                    counts += 1
                return counts

            async def remove() -> None:
                for user in passing:
                    answer = await owner.ask(on(RemoveMembers, to=(user,)))
                    removed[user] = answer.n
                done.set()

            async def invite() -> int:
                made = 0
                while not done.is_set():
                    iid = f"i{made}"
                    owner.send(Invite(id=request_id(), dev="d", iid=iid, to=tuple(stable[:3]), gid=GID, timeout=600))
                    await until(lambda iid=iid: iid in members[0].invited)  # type: ignore[misc]
                    for member in members[:3]:
                        member.send(Accept(id=request_id(), dev="d", iid=iid))
                    made += 1
                return made

            counts, _, invitations = await asyncio.gather(count(), remove(), invite())
            last = (await counting.ask(on(Count, key="seq", add=1))).n
            await until(lambda: all(member.versions[-1] == last for member in members[:25]))
            await until(lambda: all(len(member.ends) == invitations for member in members[:25]))
            late = {
                member.user: member.versions[-1]
                for member in members[25:]
                if member.versions and member.versions[-1] > removed[member.user]
            }
            for member in members[:25]:
                assert member.befores[start + 1 :] == member.versions[start:-1], "one was missed"
            deliveries = sum(len(member.versions) for member in members[:25])
            print(  # noqa: T201 - the proof is a count
                f"\n100 removals among {counts} counts and {invitations} invitations: {deliveries} deliveries "
                f"to stable members, none missing; messages past a removal: {len(late)}"
            )
            assert late == {}
            assert deliveries >= 20_000
            for member in (owner, counting, *members):
                member.close()

        run(main)
