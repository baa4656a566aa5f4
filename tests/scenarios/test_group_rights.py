"""Who may do what in a group: every operation, preset and role, over real clients and a real broker."""

from collections.abc import Callable
from typing import Final

import pytest

from ringline.client import SignalingClient
from ringline.errors import SignalingError
from tests.support.bound import BOUND_S
from tests.support.running import Device, Ring

OWNER, ADMIN, MEMBER, STRANGER = "olga", "adam", "mia", "sam"
ROLES: Final = (OWNER, ADMIN, MEMBER, STRANGER)
TARGET, NEW = "tom", "nina"
EVERYBODY: Final = {OWNER, ADMIN, MEMBER, STRANGER}
INSIDE: Final = {OWNER, ADMIN, MEMBER}
HEADS: Final = {OWNER, ADMIN}
NOBODY: Final[set[str]] = set()

# Tencent IM's matrix, written out again here; work groups have no administrators.
RIGHTS: Final[dict[str, dict[str, set[str]]]] = {
    #               work               public             meeting            live
    "dismiss":      {"work": NOBODY,   "public": {OWNER}, "meeting": {OWNER}, "live": {OWNER}},
    "join":         {"work": NOBODY,   "public": {STRANGER}, "meeting": {STRANGER}, "live": {STRANGER}},
    "quit":         {"work": INSIDE,   "public": {ADMIN, MEMBER}, "meeting": {ADMIN, MEMBER}, "live": {ADMIN, MEMBER}},
    "add":          {"work": INSIDE,   "public": HEADS,   "meeting": INSIDE,  "live": NOBODY},
    "remove":       {"work": {OWNER},  "public": HEADS,   "meeting": HEADS,   "live": HEADS},
    "set_role":     {"work": NOBODY,   "public": {OWNER}, "meeting": {OWNER}, "live": {OWNER}},
    "transfer":     {"work": {OWNER},  "public": {OWNER}, "meeting": {OWNER}, "live": NOBODY},
    "set_info":     {"work": INSIDE,   "public": HEADS,   "meeting": HEADS,   "live": HEADS},
    "set_my_info":  {"work": INSIDE,   "public": INSIDE,  "meeting": INSIDE,  "live": INSIDE},
    "mute":         {"work": NOBODY,   "public": HEADS,   "meeting": HEADS,   "live": HEADS},
    "mute_all":     {"work": NOBODY,   "public": HEADS,   "meeting": HEADS,   "live": HEADS},
    "attributes":   {"work": INSIDE,   "public": INSIDE,  "meeting": INSIDE,  "live": INSIDE},
    "counter":      {"work": INSIDE,   "public": INSIDE,  "meeting": INSIDE,  "live": INSIDE},
    "info":         {"work": INSIDE,   "public": EVERYBODY, "meeting": EVERYBODY, "live": EVERYBODY},
    "members":      {"work": INSIDE,   "public": INSIDE,  "meeting": INSIDE,  "live": INSIDE},
    "applications": {"work": HEADS,    "public": HEADS,   "meeting": HEADS,   "live": HEADS},
    "invite":       {"work": INSIDE,   "public": INSIDE,  "meeting": INSIDE,  "live": INSIDE},
}  # fmt: skip

OPERATIONS: Final[dict[str, Callable[[SignalingClient, str], object]]] = {
    "dismiss": lambda client, gid: client.groups.dismiss(gid).result(BOUND_S),
    "join": lambda client, gid: client.groups.join(gid).result(BOUND_S),
    "quit": lambda client, gid: client.groups.quit(gid).result(BOUND_S),
    "add": lambda client, gid: client.groups.add(gid, [NEW]).result(BOUND_S),
    "remove": lambda client, gid: client.groups.remove(gid, [TARGET]).result(BOUND_S),
    "set_role": lambda client, gid: client.groups.set_role(gid, TARGET, "admin").result(BOUND_S),
    "transfer": lambda client, gid: client.groups.transfer(gid, TARGET).result(BOUND_S),
    "set_info": lambda client, gid: client.groups.set_info(gid, name="new").result(BOUND_S),
    "set_my_info": lambda client, gid: client.groups.set_my_info(gid, card="me").result(BOUND_S),
    "mute": lambda client, gid: client.groups.mute(gid, TARGET, 60).result(BOUND_S),
    "mute_all": lambda client, gid: client.groups.mute_all(gid, on=True).result(BOUND_S),
    "attributes": lambda client, gid: client.groups.set_attributes(gid, {"a": 1}).result(BOUND_S),
    "counter": lambda client, gid: client.groups.add_to_counter(gid, "c", 1).result(BOUND_S),
    "info": lambda client, gid: client.groups.info(gid).result(BOUND_S),
    "members": lambda client, gid: client.groups.members(gid).result(BOUND_S),
    "applications": lambda client, gid: client.groups.applications(gid).result(BOUND_S),
    "invite": lambda client, gid: client.invite_in_group(gid, [TARGET], timeout=600).result(BOUND_S),
}
REFUSED: Final = {10007, 10009, 10010}


def people(ring: Ring) -> dict[str, Device]:
    return {user: ring.device(user) for user in (*ROLES, TARGET, NEW)}


def made(devices: dict[str, Device], gid: str, preset: str) -> None:
    """A group of that preset with an owner, an administrator where it may have one, two members."""
    owner = devices[OWNER].client.groups
    owner.create(gid, preset=preset).result(BOUND_S)
    if preset == "live":
        for user in (ADMIN, MEMBER, TARGET):
            assert devices[user].client.groups.join(gid).result(BOUND_S)
    else:
        owner.add(gid, [ADMIN, MEMBER, TARGET]).result(BOUND_S)
    if preset != "work":
        owner.set_role(gid, ADMIN, "admin").result(BOUND_S)


@pytest.mark.parametrize("preset", ["work", "public", "meeting", "live"])
def test_every_operation_by_every_role(ring: Ring, preset: str) -> None:
    devices = people(ring)
    wrong: list[str] = []
    tried = 0
    for op, operation in OPERATIONS.items():
        for role in ROLES:
            if preset == "work" and role == ADMIN:
                continue
            gid = f"{preset}-{op}-{role}"
            made(devices, gid, preset)
            tried += 1
            may = role in RIGHTS[op][preset]
            try:
                operation(devices[role].client, gid)
            except SignalingError as refused:
                if may or refused.code not in REFUSED:
                    wrong.append(f"{role} {op} in {preset}: {refused}")
            else:
                # who is a member already may ask to join again, which changes nothing
                if not may and not (op == "join" and role in INSIDE):
                    wrong.append(f"{role} may {op} in {preset}")
    print(f"{preset}: {tried} operations tried")  # noqa: T201 - the proof is a count
    assert not wrong, "\n".join(wrong)


def test_nobody_touches_the_owner_and_no_admin_another(ring: Ring) -> None:
    devices = people(ring)
    made(devices, "g", "public")
    devices[OWNER].client.groups.set_role("g", TARGET, "admin").result(BOUND_S)
    admin = devices[ADMIN].client.groups
    for somebody in (OWNER, TARGET):
        for handle in (admin.remove("g", [somebody]), admin.mute("g", somebody, 60)):
            with pytest.raises(SignalingError) as refused:
                handle.result(BOUND_S)
            assert refused.value.code == 10007
    assert len(devices[MEMBER].client.groups.members("g").result(BOUND_S).members) == 4
