"""A group that a device hears of: its events by version, and the answers of a server that says what it is told to."""

from typing import Any

from ringline.protocol.answers import Answer
from ringline.protocol.events import Event, event_map
from ringline.protocol.group_events import (
    Application,
    ApplicationDone,
    CounterChanged,
    GroupCreated,
    GroupDismissed,
    MemberEnter,
    MemberInvited,
    MemberKicked,
    MemberLeave,
)
from ringline.protocol.group_requests import SyncGroup
from ringline.protocol.group_states import GroupState
from ringline.protocol.shapes import GroupEvent
from tests.unit.client.world import Device

GID = "g1"


def count(n: int, p: int | None = None, gid: str = GID) -> CounterChanged:
    """An event for all members, by default right after the one before it; what it counts is its version."""
    return CounterChanged(gid=gid, n=n, p=n - 1 if p is None else p, by="zoe", dev="z1", key="k", value=n)


def applied(n: int, user: str = "max") -> Application:
    """An event for some."""
    return Application(gid=GID, n=n, by=user, dev="m1", user=user)


def processed(n: int, user: str = "ann", *, ok: bool = True) -> ApplicationDone:
    return ApplicationDone(gid=GID, n=n, by="zoe", dev="z1", user=user, ok=ok)


def created(user: str = "ann") -> GroupCreated:
    return GroupCreated(gid=GID, n=1, by=user, dev="d1", preset="public", name="a group")


def invited(n: int, p: int, *users: str) -> MemberInvited:
    return MemberInvited(gid=GID, n=n, p=p, by="zoe", dev="z1", users=users or ("ann",))


def entered(n: int, p: int, *users: str) -> MemberEnter:
    return MemberEnter(gid=GID, n=n, p=p, by="ann", dev="d1", users=users or ("ann",))


def left(n: int, p: int, user: str = "ann") -> MemberLeave:
    return MemberLeave(gid=GID, n=n, p=p, by=user, dev="d1", users=(user,))


def kicked(n: int, p: int, *users: str) -> MemberKicked:
    return MemberKicked(gid=GID, n=n, p=p, by="zoe", dev="z1", users=users or ("ann",), reason="noise")


def dismissed(n: int, p: int) -> GroupDismissed:
    return GroupDismissed(gid=GID, n=n, p=p, by="zoe", dev="z1")


def state(n: int, gid: str = GID, **fields: Any) -> GroupState:
    """A group as it stands."""
    return GroupState(gid=gid, n=n, preset="public", join="approval", count=2, owner="zoe", **fields)


def answer_sync(device: Device, groups: dict[str, int] | None = None, **fields: Any) -> None:
    """The last page of the answer to a sync."""
    device.answer(Answer(re=device.take_sync().id, groups=groups, **fields))


def answer_group(device: Device, *events: GroupEvent | Event, **fields: Any) -> SyncGroup:
    """The answer to the one group_sync there is; the request."""
    request = device.take(SyncGroup)
    device.answer(Answer(re=request.id, events=tuple(event_map(event) for event in events), **fields))
    return request


def member(n: int = 10, user: str = "ann", device: str = "d1") -> Device:
    """A device, up to date, whose user is a member of the group at version n."""
    made = Device(user, device)
    made.connect()
    answer_sync(made, {GID: n})
    made.grant()
    answer_group(made, group=state(n))
    assert [name for name, _ in made.heard] == ["connected"]
    made.heard.clear()
    return made


def connected(user: str = "ann") -> Device:
    """A device, up to date, whose user is a member of no group."""
    made = Device(user)
    made.connect()
    answer_sync(made)
    made.heard.clear()
    return made


def counted(device: Device) -> list[int]:
    """The versions it was told of."""
    return [event.value for name, event in device.heard if name == "group_counter_changed"]


def names(device: Device) -> list[str]:
    """The callbacks it was told, `connected` among them."""
    return [name for name, _ in device.heard]
