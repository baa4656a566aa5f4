"""The plugin of a real Mosquitto, commanded: users, roles that are mended, and who hears which group's topic."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from ringline_broker.bindings.mosquitto.control import (
    MAX_BYTES,
    Command,
    Control,
    ControlRefused,
    connect_control,
    connected,
    size_of,
)
from ringline_broker.bindings.mosquitto.permissions import Permissions
from ringline_broker.bindings.mosquitto.roles import DENIED, Roles
from ringline_broker.bindings.mosquitto.users import Users
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.bindings.mqtt5.failures import LoginRefused, SubscribeRefused
from ringline_broker.deployment.mosquitto import ADMIN, read_admin
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import BrokerUnavailable, Clock, StoreUnavailable
from tests.support.bound import BOUND_S
from tests.support.deployed import PASSWORD, Deployed
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import TOPICS, Peer, run, said

ROLES: Final = Roles(TOPICS)
GROUP: Final = TOPICS.group_events("g")
LOCK: Final = f"{TOPICS.prefix}/lock"
CLOCK: Final = SystemClock()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with Deployed(tmp_path, "alice", "bob", group_topics=True) as deployed:
        yield deployed


def as_admin(broker: Deployed) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, ADMIN, read_admin(broker.folder).password.encode())


def as_user(broker: Deployed, user: str) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, user, PASSWORD.encode())


class Members:
    """Who is in which group, as a store would say."""

    def __init__(self) -> None:
        self._of: defaultdict[str, set[str]] = defaultdict(set)
        self.asked = asyncio.Event()

    async def __call__(self, gid: str, users: Collection[str]) -> Collection[str]:
        self.asked.set()
        return self._of[gid] & set(users)

    async def add(self, permissions: Permissions, gid: str, *users: str) -> None:
        self._of[gid].update(users)
        await permissions.agree(gid, users)

    async def remove(self, permissions: Permissions, gid: str, *users: str) -> None:
        self._of[gid].difference_update(users)
        await permissions.agree(gid, users)

    def now_in(self, gid: str, *users: str) -> None:
        self._of[gid] = set(users)


@asynccontextmanager
async def managing(broker: Deployed, members: Members, clock: Clock = CLOCK) -> AsyncGenerator[Permissions]:
    permissions = Permissions(broker.worker, TOPICS, broker.share, clock, has_group_topics=True)
    permissions.members = members
    await permissions.start(5)
    try:
        yield permissions
    finally:
        await permissions.stop()


@asynccontextmanager
async def working(broker: Deployed, members: Members) -> AsyncGenerator[WorkerBinding]:
    permissions = Permissions(broker.worker, TOPICS, broker.share, CLOCK, has_group_topics=True)
    permissions.members = members
    binding = WorkerBinding(broker.worker, TOPICS, broker.share, CLOCK, permissions=permissions)
    await binding.start()
    try:
        yield binding
    finally:
        await binding.stop()


async def groups_of(control: Control, user: str) -> frozenset[str]:
    (answer,) = await control.run([{"command": "getRole", "rolename": ROLES.user(user).name}])
    assert answer.error is None
    return ROLES.groups_in(answer.data["role"])


def test_members_hear_a_group_and_nobody_else_and_nobody_is_cut_off(broker: Deployed) -> None:
    async def scenario() -> None:
        alice = await Peer().join(as_user(broker, "alice"), GROUP, TOPICS.events("alice"))
        bob = await Peer().join(as_user(broker, "bob"), GROUP, TOPICS.events("bob"))
        members = Members()
        async with working(broker, members) as binding:

            async def publish(payload: bytes) -> None:
                await said(binding.publish(GROUP, payload, None))
                after = b"after " + payload
                for peer, user in ((alice, "alice"), (bob, "bob")):  # what came to them came before this
                    await said(binding.publish(TOPICS.events(user), after, None))
                    await _last_of(peer, after)

            await publish(b"before")
            members.now_in("g", "alice", "nobody")
            for _ in range(2):  # again changes nothing
                await _done(binding.open_group("g", ["alice", "nobody"]))
            await publish(b"alice alone")
            members.now_in("g", "alice", "bob")
            await _done(binding.open_group("g", ["bob"]))
            await publish(b"both")
            members.now_in("g", "bob")
            for _ in range(2):
                await _done(binding.close_group("g", ["alice", "nobody"]))
            await publish(b"bob alone")
            members.now_in("g", "alice", "bob")
            await _done(binding.open_group("g", ["alice"]))
            binding.publish(GROUP, b"the last", None)
            members.now_in("g")
            for _ in range(2):
                await _done(binding.close_group("g", None))
            await publish(b"too late")
        heard = {name: [one for topic, one in peer.came if topic == GROUP] for name, peer in
                 (("alice", alice), ("bob", bob))}  # fmt: skip
        assert heard == {"alice": [b"alice alone", b"both", b"the last"], "bob": [b"both", b"bob alone", b"the last"]}
        for peer in (alice, bob):
            assert not peer.connection.ended.is_set()
            peer.close()

    run(scenario())


class Noted:
    """Permissions that only note what they are told."""

    has_group_topics = True

    def __init__(self) -> None:
        self.closed: list[tuple[str, Collection[str] | None]] = []

    async def start(self, within_s: float) -> None: ...

    async def stop(self) -> None: ...

    async def agree(self, gid: str, users: Collection[str] | None) -> None:
        self.closed.append((gid, users))


def test_a_group_closes_to_all_when_what_was_published_is_out_and_not_before() -> None:
    async def scenario() -> None:
        noted = Noted()
        binding = WorkerBinding(BrokerAddress("127.0.0.1"), TOPICS, "share", CLOCK, permissions=noted)
        binding.publish(GROUP, b"the last", None)  # waits: there is no connection
        closing = asyncio.ensure_future(_done(binding.close_group("g", None)))
        await _done(binding.close_group("g", ["alice"]))
        await let_run()
        assert noted.closed == [("g", ["alice"])]
        await binding.stop()  # gives it up
        await asyncio.wait_for(closing, BOUND_S)
        assert noted.closed == [("g", ["alice"]), ("g", None)]

    run(scenario())


def test_an_account_that_is_no_users_is_nobodys_to_disturb(broker: Deployed) -> None:
    """Whoever may invite into a group would end the workers' connections otherwise."""

    async def scenario() -> None:
        members = Members()
        async with managing(broker, members) as permissions, connected(as_admin(broker), CLOCK) as control:
            worker = await Peer().join(broker.worker, TOPICS.prefix + "/probe/x")
            await members.add(permissions, "g", "ringline-worker", ADMIN, "%u", "alice")
            await members.remove(permissions, "g", "ringline-worker", ADMIN, "%u")
            await members.add(permissions, "%u", "alice")
            assert await groups_of(control, "alice") == {"g"}
            assert not worker.connection.ended.is_set()
            worker.close()

    run(scenario())


def test_two_workers_that_change_one_user_at_the_same_time_lose_nothing(broker: Deployed) -> None:
    async def scenario() -> None:
        said = Members()
        async with (
            managing(broker, said) as one, managing(broker, said) as other, managing(broker, said) as third,
            connected(as_admin(broker), CLOCK) as control,
        ):  # fmt: skip
            for turn in range(10):
                new, old = ([f"{n}-{place}" for place in range(3)] for n in (turn, turn - 1))
                await asyncio.gather(
                    *(said.add(place, gid, "alice") for place, gid in zip((one, other, third), new, strict=True)),
                    *(said.remove(place, gid, "alice") for place, gid in zip((other, third, one), old, strict=True)),
                )
                assert await groups_of(control, "alice") == set(new)

    run(scenario())


def test_a_worker_that_was_slow_undoes_nothing(broker: Deployed) -> None:
    """It was told to add bob, and had to wait; meanwhile bob was removed, and another worker saw to that."""

    async def scenario() -> None:
        members = Members()
        async with (
            managing(broker, members) as slow, managing(broker, members) as other,
            connected(as_admin(broker), CLOCK) as control,
        ):  # fmt: skip
            await control.run([{"command": "createRole", "rolename": LOCK, "textname": "somebody's"}])
            adding = asyncio.ensure_future(members.add(slow, "g", "bob"))
            await asyncio.wait_for(members.asked.wait(), BOUND_S)
            removing = asyncio.ensure_future(members.remove(other, "g", "bob"))
            await control.run([{"command": "deleteRole", "rolename": LOCK}])
            await asyncio.wait_for(asyncio.gather(adding, removing), BOUND_S)
            assert await groups_of(control, "bob") == set()

    run(scenario())


def test_a_store_out_of_reach_leaves_no_lock_behind(broker: Deployed) -> None:
    async def scenario() -> None:
        members, calls = Members(), count()

        async def fails_at_the_second(gid: str, users: Collection[str]) -> Collection[str]:
            if next(calls) == 1:
                raise StoreUnavailable("no answer in time")
            return await members(gid, users)

        async with managing(broker, members) as permissions, connected(as_admin(broker), CLOCK) as control:
            permissions.members = fails_at_the_second
            with pytest.raises(StoreUnavailable):
                await members.add(permissions, "g", "alice")
            (left,) = await control.run([{"command": "getRole", "rolename": LOCK}])
            assert left.error == "Role not found"
            await members.add(permissions, "g", "alice")
            assert await groups_of(control, "alice") == {"g"}

    run(scenario())


def test_one_group_too_many_is_said_and_stops_nothing(broker: Deployed, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody may add anybody to groups: what does not fit is left out, or no group would change any more."""

    async def scenario() -> None:
        members = Members()
        async with managing(broker, members) as permissions, connected(as_admin(broker), CLOCK) as control:
            empty, one = (size_of(_with_groups(["x" * 64] * count)) for count in (0, 1))
            full = [f"{number:064}" for number in range((MAX_BYTES - empty) // (one - empty))]
            assert len(full) > 400
            (done,) = await control.run([_with_groups(full)])
            assert done.error is None
            for gid in full:
                members.now_in(gid, "alice")
            await members.add(permissions, "z" * 64, "alice", "bob")
            assert "ringline/v1/u/alice cannot hear of another group: there are too many" in caplog.text
            assert await groups_of(control, "alice") == set(full)
            assert await groups_of(control, "bob") == {"z" * 64}
            members.now_in(full[0])
            await permissions.agree(full[0], None)
            await permissions.agree("z" * 64, ["alice"])
            assert await groups_of(control, "alice") == {*full[1:], "z" * 64}

    run(scenario())


def _with_groups(groups: list[str]) -> Command:
    return {"command": "modifyRole", **ROLES.user("alice", groups).as_json()}


def test_what_is_not_as_it_should_be_is_mended_at_the_start(broker: Deployed) -> None:
    async def scenario() -> None:
        async with connected(as_admin(broker), CLOCK) as control:
            everyone = ROLES.everyone()
            wide: list[dict[str, Any]] = [{"acltype": kind, "allow": True} for kind in DENIED]
            await control.run([
                {"command": "setDefaultACLAccess", "acls": wide},
                {"command": "deleteRole", "rolename": everyone.name},
                {"command": "addRoleACL", "rolename": f"{TOPICS.prefix}/worker", "acltype": "publishClientSend",
                 "topic": "#", "allow": True},
            ])  # fmt: skip
        async with managing(broker, Members()), connected(as_admin(broker), CLOCK) as control:
            access, worker, users = await control.run([
                {"command": "getDefaultACLAccess"},
                {"command": "getRole", "rolename": f"{TOPICS.prefix}/worker"},
                {"command": "getRole", "rolename": everyone.name},
            ])  # fmt: skip
            assert {acl["acltype"]: acl["allow"] for acl in access.data["acls"]} == DENIED
            assert ROLES.worker(broker.share, has_group_topics=True).is_like(worker.data["role"])
            assert everyone.is_like(users.data["role"])

    run(scenario())


def test_a_user_is_added_changed_and_removed(broker: Deployed) -> None:
    async def scenario() -> None:
        async with connected(as_admin(broker), CLOCK) as control:
            users = Users(control, TOPICS)
            assert await users.names() == ["alice", "bob"]
            assert await users.add("carol", "one password")
            first = await Peer().join(BrokerAddress("127.0.0.1", broker.port, "carol", b"one password"))
            assert not await users.add("carol", "another one")
            await asyncio.wait_for(first.connection.ended.wait(), 10)
            with pytest.raises(LoginRefused):
                await Peer().join(BrokerAddress("127.0.0.1", broker.port, "carol", b"one password"))
            carol = BrokerAddress("127.0.0.1", broker.port, "carol", b"another one")
            second = await Peer().join(carol)
            assert await users.remove("carol")
            await asyncio.wait_for(second.connection.ended.wait(), 10)
            with pytest.raises(LoginRefused):
                await Peer().join(carol)
            assert not await users.remove("carol")
            assert await users.names() == ["alice", "bob"]
            with pytest.raises(ControlRefused, match="no user of Ringline's"):
                await users.add("ringline-worker", PASSWORD)
            assert await users.names() == ["alice", "bob"]

    run(scenario())


def test_who_may_not_manage_permissions_is_told_so(tmp_path: Path) -> None:
    """The worker of a deployment without topics for groups, and a user."""

    async def scenario(broker: Deployed) -> None:
        with pytest.raises(SubscribeRefused, match=r"CONTROL.*`ringline deploy mosquitto --group-topics` wrote"):
            async with managing(broker, Members()):
                pass
        alice = as_user(broker, "alice")
        control = Control(CLOCK)
        connection = await connect_control(alice, control, CLOCK)
        with pytest.raises(ControlRefused, match=r"does not let this account manage permissions \(reason 0x87\)"):
            await control.run([{"command": "deleteClient", "username": "bob"}])
        connection.close()

    with Deployed(tmp_path, "alice") as broker:
        run(scenario(broker))


def test_a_worker_with_another_share_or_password_is_told_what_to_look_at(tmp_path: Path) -> None:
    async def scenario(broker: Deployed) -> None:
        with pytest.raises(SubscribeRefused, match=r"0x87; the share's name must be .* RINGLINE_SHARE of worker\.env"):
            await WorkerBinding(broker.worker, TOPICS, "another", CLOCK).start()
        wrong = replace(broker.worker, password=b"another")
        with pytest.raises(LoginRefused, match=r"check the user in --broker, and RINGLINE_PASSWORD .* worker\.env"):
            await WorkerBinding(wrong, TOPICS, broker.share, CLOCK).start()

    with Deployed(tmp_path) as broker:
        run(scenario(broker))


def test_a_broker_that_does_not_answer_is_unavailable() -> None:
    async def scenario() -> None:
        control = Control(CLOCK, answer_s=0.05)
        with pytest.raises(BrokerUnavailable, match=r"did not answer within 0\.05 s"):
            await control.run([{"command": "getDefaultACLAccess"}])

    run(scenario())


class HastyClock(SystemClock):
    """Time flies while it waits for a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.ahead_ms

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        if timeout_ms <= 40:
            self.ahead_ms += 2_600
        return await super().wait(event, timeout_ms)


def test_the_lock_of_a_dead_worker_is_taken_from_it(broker: Deployed) -> None:
    """By one that starts now, too: it is in the broker's file, and nobody else might come."""

    async def scenario() -> None:
        members = Members()
        async with (
            connected(as_admin(broker), CLOCK) as control,
            managing(broker, members, HastyClock()) as permissions,
        ):
            await control.run([{"command": "createRole", "rolename": LOCK, "textname": "dead"}])
            await members.add(permissions, "g", "alice")
            assert await groups_of(control, "alice") == {"g"}
            (left,) = await control.run([{"command": "getRole", "rolename": LOCK}])
            assert left.error == "Role not found"

    run(scenario())


async def _last_of(peer: Peer, payload: bytes) -> None:
    await peer.until(lambda: peer.came[-1][1] == payload)


async def _done(change: Any) -> None:
    assert change is not None
    await change
