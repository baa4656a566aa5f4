"""Groups for a store to keep. A store looks into few of their fields, so they are made up."""

from collections.abc import Mapping
from typing import Any

from ringline_broker.engine.groups.model import Group, GroupLogEvent, Person, Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import GroupChange
from tests.stores.made import NOW, rung


def founded(gid: str, owner: str = "ann", **fields: Any) -> Group:
    """The first version of a group, made by its owner where no other maker is given."""
    made: dict[str, Any] = {"maker": owner, "n": 1, "members": 1, "events": (event(1, "group_created", owner),)}
    return Group(gid, "work", owner, created=NOW, **(made | fields))


def later(base: Group, **fields: Any) -> Group:
    """The next version."""
    n = base.n + 1
    return base._replace(**{"n": n, "events": (*base.events, event(n, "group_info", base.owner)), **fields})


def dismissed(base: Group, now: int = NOW + 1) -> Group:
    """The last version."""
    return later(base, dismissed=now, members=0)


def event(n: int, ev: str, by: str, **fields: object) -> GroupLogEvent:
    """An event for all members."""
    return GroupLogEvent(n, ev, NOW + n, True, (by,), by, "d1", n.to_bytes(8, "big"), fields)


def whole(gid: str) -> Group:
    """A group in which every field says something."""
    fields = {
        "users": ("ben", "cas"), "custom": {"k": b"\0\xff", "é": b""}, "name": "später 🙂", "muted": None, "on": True,
        "value": -(2**53) + 1, "drop": (),
    }  # fmt: skip
    events = (
        event(8, "member_info", "ann", **fields),
        GroupLogEvent(9, "application", NOW, False, ("ann", "ben"), None, None, None, {"put": {"a": b"1"}}),
    )
    group = Group(
        gid, "public", "ann", "mia", NOW, n=9, admins=("ben", "cas"), name="name 名", introduction="introduction",
        notification="news", face="https://a.example/b", custom={"level": b"\x00\x01", "ß": b""}, most=200,
        join="approval", members=3, muted=True, attributes={"k": bytes(range(256))}, attributes_n=7,
        counters={"likes": -(2**53) + 1, "é": 2**53 - 1}, dismissed=NOW + 9, forgotten=5, size=321, events=events,
    )  # fmt: skip
    said = group._asdict()
    assert all(said[field] != default for field, default in Group._field_defaults.items()), "a field says nothing"
    return group._replace(dismissed=None)


def member(user: str, **fields: Any) -> Person:
    """A member's row."""
    return Person(user, Standing.MEMBER, NOW, **fields)


def applicant(user: str, **fields: Any) -> Person:
    """An applicant's row."""
    return Person(user, Standing.APPLICANT, NOW, **fields)


def banned(user: str, **fields: Any) -> Person:
    """A banned person's row."""
    return Person(user, Standing.BANNED, NOW, **fields)


def rung_in(gid: str, iid: str, **fields: Any) -> Invitation:
    """A new invitation made in a group."""
    return rung(iid, **fields)._replace(gid=gid)


def first(group: Group, *people: Person) -> GroupChange:
    """To be committed as the first of its id."""
    return GroupChange(group, 0, {person.user: person for person in people})


def then(base: Group, group: Group, people: Mapping[str, Person | None] | None = None) -> GroupChange:
    """To be committed where this version stands."""
    return GroupChange(group, base.n, people or {})
