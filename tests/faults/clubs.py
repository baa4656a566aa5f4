"""Groups whose owners add and remove members, and dismiss them, and what every member's devices have to hear of it."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from ringline.group_listener import GroupListener
from ringline.handles import RequestHandle
from tests.faults.fleet import Fleet, WatchedDevice
from tests.support.bound import BOUND_S

CHANGES: Final = 6
"""So many times members of a group come or go before it is dismissed."""

Told = tuple[str, tuple[str, ...]]
"""A callback of a group, and the users whom it names: in one group no two are the same."""


@dataclass(slots=True)
class Club:
    """One group.

    Attributes:
        gid: its id.
        owner: the device that does all there.
        members: who is in it, the owner too, once all is done that was asked for.
        asked: what its owner asked for.
        news: what came of it, in order, each with who has to hear it.
    """

    gid: str
    owner: WatchedDevice
    members: set[str]
    asked: list[RequestHandle[Any]] = field(default_factory=list)
    news: list[tuple[Told, set[str]]] = field(default_factory=list[tuple[Told, set[str]]])

    def tell(self, callback: str, *users: str) -> None:
        """Members have to hear it next."""
        self.news.append(((callback, users), set(self.members)))

    def has_told(self, callback: str, *users: str) -> bool:
        """Whether there was the same before."""
        return any(told == (callback, users) for told, _ in self.news)


class Clubs:
    """Groups of some users, each with an owner of its own.

    Args:
        fleet: the devices.
        owners: who makes groups.
        people: who is put into them; no owner is among them.
        rng: for the choice of members.
    """

    def __init__(self, fleet: Fleet, owners: list[str], people: list[str], rng: random.Random) -> None:
        self._fleet = fleet
        self._owners = owners
        self._people = people
        self._rng = rng
        self.clubs: list[Club] = []
        self._open: dict[str, Club] = {}
        for device in fleet.of(*owners, *people):
            device.client.add_group_listener(device.heard)

    def go_on(self) -> None:
        """Have every owner make a group, change who is in theirs, or dismiss it, without waiting for the answer."""
        for owner in self._owners:
            club = self._open.get(owner)
            if club is None:
                self._open[owner] = self._make(owner)
            elif len(club.asked) > CHANGES:
                self._dismiss(self._open.pop(owner))
            else:
                self._change(club)

    def dismiss_all(self) -> None:
        """Have every owner dismiss what they have, at the same moment."""
        for club in self._open.values():
            for asked in club.asked:
                asked.result(BOUND_S)
        for club in self._open.values():
            self._dismiss(club)
        self._open.clear()

    def judge(self) -> Counter[str]:
        """Wait until all is done, and check what every device heard; how often which callback came."""
        for club in self.clubs:
            for asked in club.asked:
                asked.result(BOUND_S)
        heard: Counter[str] = Counter()
        for club in self.clubs:
            for user in (*self._owners, *self._people):
                for device in self._fleet.of(user):
                    heard.update(_check(club, device))
        return heard

    def _make(self, owner: str) -> Club:
        device = self._rng.choice(self._fleet.of(owner))
        club = Club(f"club-{len(self.clubs)}", device, {owner})
        self.clubs.append(club)
        club.asked.append(device.client.groups.create(club.gid, preset="meeting"))
        club.tell("group_created")
        return club

    def _change(self, club: Club) -> None:
        """Add two who are not in it, or remove two who are."""
        inside = club.members - {club.owner.user}
        outside = set(self._people) - inside
        groups = club.owner.client.groups
        adds = len(inside) < 4 or (len(outside) > 1 and self._rng.random() < 0.5)
        callback = "member_invited" if adds else "member_kicked"
        users = self._rng.sample(sorted(outside if adds else inside), 2)
        if club.has_told(callback, *users):
            return
        club.asked.append((groups.add if adds else groups.remove)(club.gid, users))
        if adds:
            club.members.update(users)
        club.tell(callback, *users)
        if not adds:
            club.members.difference_update(users)

    def _dismiss(self, club: Club) -> None:
        club.asked.append(club.owner.client.groups.dismiss(club.gid))
        club.tell("group_dismissed")


def _check(club: Club, device: WatchedDevice) -> list[str]:
    """Check that a device heard all that it had to, in order and once, and nothing after that; the callbacks' names.
    Members may hear of what was before they came.
    """
    expected = [at for at, (_, users) in enumerate(club.news) if device.user in users]
    where = f"{device.name} of {club.gid}: {expected} of {club.news}"
    device.heard.wait_for(lambda: {*expected} <= {*_told(club, device)}, f"told at {where}")
    told = _told(club, device)
    assert told == sorted(set(told)), f"{where}, not {told}"
    assert not expected or told[-1] == expected[-1], f"{where}, and {told} after it was none of theirs"
    return [club.news[at][0][0] for at in told]


def _told(club: Club, device: WatchedDevice) -> list[int]:
    """Which news of a group a device heard; fails where it heard something else."""
    places = {told: at for at, (told, _) in enumerate(club.news)}
    return [
        places[name, tuple(getattr(event, "users", ()))]
        for name, event in device.heard.of(club.gid)
        if f"on_{name}" in vars(GroupListener)
    ]
