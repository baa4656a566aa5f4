"""What a worker looks after on Mosquitto: that the roles stand, and that a group's topic is heard by its members alone.

Each user's role lists the groups whose topics the user hears. The plugin has groups of its own, but ends a user's
connections at every command about them, even where nothing changes by it, and a user invited into a group would never
hear of it. `modifyRole` is in force at once, and in Mosquitto 2.0 disturbs nobody.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.control import (
    ANSWER_S,
    MAX_BYTES,
    Answer,
    Command,
    Control,
    ControlRefused,
    check,
    connect_control,
    size_of,
)
from ringline_broker.bindings.mosquitto.roles import CONTROL_ANSWERS, DENIED, Role, Roles, name_fault
from ringline_broker.bindings.mosquitto.unmanaged import ALL_ALIKE
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.bindings.mqtt5.connection import Connection
from ringline_broker.bindings.mqtt5.keeper import Keeper
from ringline_broker.service.ports import BrokerUnavailable, Clock

log = logging.getLogger(__name__)

_chance = random.SystemRandom()
_ATTEMPTS: Final = 3
_AT_ONCE: Final = 16
"""Users whose roles are changed under one lock."""
_GENTLY_AT_ONCE, _GENTLY_MS = 4, 100
"""Likewise where nobody waits, and the pause after them: the broker writes its file for each, and does nothing else."""
_LOOK_AGAIN_MS: Final = (5, 40)
"""How long to wait for a lock that another worker has, from and to."""
HELD_MS: Final = int(1_200 * ANSWER_S)
"""A lock that somebody had for so long is a dead worker's: what a living one sends is given up before."""
_PATIENCE_MS: Final = HELD_MS + int(1_000 * ANSWER_S)
"""How long a lock is waited for: longer than a dead worker can have it."""

Groups = frozenset[str]
Members = Callable[[str, Collection[str]], Awaitable[Collection[str]]]
"""Given a group and users, who of them are members of it now."""


class Permissions:
    """A worker's hold on the plugin, over a connection of its own: answers must come through while the worker has more
    requests than it takes.

    Args:
        address: the broker, and an account that may manage permissions.
        topics: the prefix.
        share: the share's name.
        clock: where time comes from.
        has_group_topics: whether groups get topics.

    Attributes:
        has_group_topics: likewise.
        members: asked who are members of a group, each time a role is about to be written; raises StoreUnavailable.
    """

    def __init__(
        self, address: BrokerAddress, topics: Topics, share: str, clock: Clock, *, has_group_topics: bool
    ) -> None:
        self.has_group_topics = has_group_topics
        self._address = address
        self._clock = clock
        self._roles = Roles(topics)
        self._share = share
        self._control = Control(clock)
        self._keeper: Keeper | None = None
        self._changing = asyncio.Lock()
        self._lock_name = self._roles.lock
        self._holder: tuple[str, int] | None = None
        self.members: Members = _nobody

    async def start(self, within_s: float) -> None:
        """Connect, and see that default access is denied and the roles stand; mend what does not.

        Args:
            within_s: seconds that a broker which is not there yet has to come up.

        Raises:
            BrokerFailure: there is no connection, or the account may not manage permissions.
            BrokerUnavailable: the plugin does not answer.
            ControlRefused: the plugin refuses to mend it.
        """
        keeper = self._keeper = Keeper(self._connect, self._clock, _nothing, self._went_down)
        keeper.want((CONTROL_ANSWERS,))
        await keeper.start(within_s)
        for _ in range(_ATTEMPTS):
            if not await self._mend():
                return
        raise BrokerUnavailable("the broker's roles are changed by somebody else at the same time")

    async def stop(self) -> None:
        """Disconnect. A second call does nothing."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.stop()
        self._control.outbound.give_up()

    async def agree(self, gid: str, users: Collection[str] | None) -> None:
        """Have a group's topic heard by those of these users who are members of it now, and not by the others; of all
        who hear it where None is given. Whom the broker does not know is passed over.

        Who is a member is asked when nobody else can write the same role, and not taken from whoever calls: a worker
        that was slow would undo what another has done since.

        Raises:
            BrokerUnavailable: it is not known to be done.
            StoreUnavailable: it is not known who is a member.
        """
        if (fault := name_fault(gid)) is not None:
            log.error("the members of group %s hear nothing of it: its id %s", gid, fault)
            return
        size = _AT_ONCE
        if users is None:
            size = _GENTLY_AT_ONCE
            users = [user for user, groups in (await self._groups_of_all()).items() if gid in groups]
        names = sorted(user for user in users if name_fault(user) is None)
        for at in range(0, len(names), size):
            async with self._changing:
                await self._agree_some(gid, names[at : at + size])
            if size < _AT_ONCE:
                await self._clock.wait(asyncio.Event(), _GENTLY_MS)

    async def _groups_of_all(self) -> dict[str, Groups]:
        """The groups whose topics all users hear: the plugin does not tell who has which topic."""
        (answer,) = await self._control.run([{"command": "listRoles", "verbose": True}])
        check((answer,))
        roles: list[dict[str, Any]] = answer.data.get("roles", [])
        head = self._roles.users_head
        return {
            str(role["rolename"]).removeprefix(head): self._roles.groups_in(role)
            for role in roles
            if str(role["rolename"]).startswith(head)
        }

    def _look_at(self, users: Iterable[str]) -> list[Command]:
        return [_get(self._roles.user(user).name) for user in users]

    def _told(self, users: Iterable[str], answers: Iterable[Answer]) -> dict[str, Groups]:
        """What the roles of these users open; of those who have one."""
        pairs = zip(users, answers, strict=True)
        return {user: self._roles.groups_in(told.data.get("role", {})) for user, told in pairs if told.error is None}

    async def _agree_some(self, gid: str, users: list[str]) -> None:
        """A role is read and then written whole, and another worker may want to write it too. The plugin knows no
        transactions, but it makes a role only once: that one is the lock. Where nobody has it and all is as it should
        be, nothing is to be done: whoever takes it later asks who is a member later.
        """
        lock, *told = await self._control.run([_get(self._lock_name), *self._look_at(users)])
        if not await self._wrong(gid, self._told(users, told)) and not _holder(lock):
            return
        token = secrets.token_hex(8)
        known = await self._lock(token, users)
        unlock: Command = {"command": "deleteRole", "rolename": self._lock_name}
        try:
            wrong = await self._wrong(gid, known)
        except BaseException:
            await self._control.run([unlock])
            raise
        changed = (self._roles.user(user, groups) for user, groups in wrong.items())
        todo = [_set(role) for role in changed if _fits(role)]
        held, *done, _ = await self._control.run([_get(self._lock_name), *todo, unlock])
        check(done, "Role does not exist")
        if _holder(held) != token:
            raise BrokerUnavailable("another worker has changed the broker's roles meanwhile")

    async def _wrong(self, gid: str, known: dict[str, Groups]) -> dict[str, Groups]:
        """Of users whose roles open these groups, those who hear the group and should not, or should and do not: what
        their roles should open.
        """
        members = frozenset(await self.members(gid, tuple(known))) if known else Groups()
        right = {user: groups | {gid} if user in members else groups - {gid} for user, groups in known.items()}
        return {user: groups for user, groups in right.items() if groups != known[user]}

    async def _lock(self, token: str, users: list[str]) -> dict[str, Groups]:
        """Take the lock, and read these users' roles under it."""
        until_ms = self._clock.monotonic_ms() + _PATIENCE_MS
        take: list[Command] = [
            {"command": "createRole", "rolename": self._lock_name, "textname": token, "acls": []},
            _get(self._lock_name),
        ]
        while True:
            free: list[Command] = [{"command": "deleteRole", "rolename": self._lock_name}] if self._is_left() else []
            answers = await self._control.run([*free, *take, *self._look_at(users)])
            _, held, *told = answers[len(free) :]
            if _holder(held) == token:
                return self._told(users, told)
            self._note_holder(_holder(held))
            if self._clock.monotonic_ms() >= until_ms:
                raise BrokerUnavailable("another worker keeps the lock on the broker's roles")
            await self._clock.wait(asyncio.Event(), _chance.randint(*_LOOK_AGAIN_MS))

    def _note_holder(self, token: str) -> None:
        if self._holder is None or self._holder[0] != token:
            self._holder = token, self._clock.monotonic_ms()

    def _is_left(self) -> bool:
        """Whether somebody has had the lock for too long; said once."""
        holder = self._holder
        if holder is None or self._clock.monotonic_ms() - holder[1] < HELD_MS:
            return False
        self._holder = None
        return True

    async def _mend(self) -> bool:
        """Whether there was anything to mend.

        Raises:
            ControlRefused: other workers keep groups' topics, which this one would take from them.
        """
        own = self._roles.worker(self._share, has_group_topics=self.has_group_topics)
        roles = (own, self._roles.everyone())
        ask: list[Command] = [{"command": "getDefaultACLAccess"}]
        ask += [_get(role.name) for role in roles]
        access, *told = await self._control.run(ask)
        if not self.has_group_topics and self._roles.gives_group_topics(told[0].data.get("role", {})):
            raise ControlRefused(f"the worker's role is not as it would be without topics for groups; {ALL_ALIKE}")
        todo = [] if _is_denied(access) else [_deny()]
        for role, answer in zip(roles, told, strict=True):
            todo += _to_stand(role, answer)
        if told[0].error is not None:
            todo.append({"command": "addClientRole", "username": self._address.username, "rolename": own.name})
        if todo:
            log.warning("mending the broker's permissions: %s", ", ".join(str(one["command"]) for one in todo))
            check(await self._control.run(todo), "Role already exists")
        return bool(todo)

    async def _connect(self) -> Connection:
        return await connect_control(self._address, self._control, self._clock)

    def _went_down(self, reason: str) -> None:
        if self._keeper is not None:
            log.warning("the connection that manages permissions is lost: %s", reason)


def _deny() -> Command:
    acls = [{"acltype": kind, "allow": allow} for kind, allow in DENIED.items()]
    return {"command": "setDefaultACLAccess", "acls": acls}


def _is_denied(answer: Answer) -> bool:
    acls: list[dict[str, Any]] = answer.data.get("acls", [])
    return {acl["acltype"]: acl["allow"] for acl in acls} == DENIED


def _to_stand(role: Role, answer: Answer) -> list[Command]:
    """What makes a role be as it should."""
    if answer.error is not None:
        return [{"command": "createRole", **role.as_json()}]
    return [] if role.is_like(answer.data.get("role", {})) else [_set(role)]


def _get(name: str) -> Command:
    return {"command": "getRole", "rolename": name}


def _set(role: Role) -> Command:
    return {"command": "modifyRole", **role.as_json()}


def _fits(role: Role) -> bool:
    """Whether one command can say it all."""
    fits = size_of(_set(role)) <= MAX_BYTES
    if not fits:
        log.error("%s cannot hear of another group: there are too many", role.name)
    return fits


def _holder(answer: Answer) -> str:
    """Whose lock it is."""
    role: dict[str, Any] = answer.data.get("role", {})
    return str(role.get("textname", ""))


def _nothing(_connection: Connection) -> None:
    pass


async def _nobody(_gid: str, _users: Collection[str]) -> Collection[str]:
    return ()
