"""What lies in redis, read without the store, and what should lie there, going by the records' bodies alone."""

from collections import Counter, defaultdict
from typing import TypeAlias

from ringline_broker.stores import group_record, record
from ringline_broker.stores.redis.keys import LETTERS
from ringline_broker.stores.redis.values import group_meta, invitation_meta, read
from tests.support.redis_servers import RedisServer

BASE = "ringline:{s00}:"
"""What keys begin with where there is one shard."""
Indexes: TypeAlias = dict[str, dict[str, float]]
"""By key: a sorted set with its scores, or a hash of numbers."""
_RECORDS = ("i:", "g:", "p:", "f:", "b:", "bo:", "clock", "layout", "seen")


def indexes_in(server: RedisServer) -> Indexes:
    """All indexes and counts that are there. Leases differ from deadlines: of what is due or unmarked only the ids are
    told. Of whom something is kept, a count of nothing open may stay.
    """
    found: Indexes = {}
    for key in server.call("KEYS", f"{BASE}*"):
        name = key.decode().removeprefix(BASE)
        if name.startswith(_RECORDS):
            continue
        is_hash = server.call("TYPE", key) == b"hash"
        flat = server.call("HGETALL", key) if is_hash else server.call("ZRANGE", key, 0, -1, "WITHSCORES")
        found[name] = {one.decode(): float(score) for one, score in zip(flat[::2], flat[1::2], strict=True)}
        if name.startswith("c:") and "b" in found[name] and not found[name].get("o"):
            found[name].pop("o", None)
    for name in {"due", "unmarked:i", "unmarked:g"} & found.keys():
        found[name] = dict.fromkeys(found[name], 0.0)
    return found


def indexes_of_records(server: RedisServer) -> Indexes:
    """What the bodies of all records say, which the heads and metas before them must say too."""
    expected: defaultdict[str, Counter[str]] = defaultdict(Counter)
    _add_invitations(server, expected)
    _add_groups(server, expected)
    return {name: {one: float(score) for one, score in some.items()} for name, some in expected.items()}


def _add_invitations(server: RedisServer, expected: "defaultdict[str, Counter[str]]") -> None:
    for iid, text in _strings(server, "i:"):
        stands = read(text)
        one = record.decode(stands.body)
        parties = () if one.is_tombstone else one.parties
        assert (one.iid, one.n, invitation_meta(one, parties)) == (iid, stands.n, stands.meta)
        if stands.handed.mark < one.n:
            expected["unmarked:i"][iid] = 0
        if one.due is not None:
            expected["due"][iid] = 0
        if one.ended is not None:
            expected["over"][f"0{stands.ticket:016}{iid}"] = one.ended
        elif one.gid:
            expected[f"o:{one.gid}"][iid] = 0
        for user in parties:
            expected[f"u:{user}"][iid] = 0
        expected[f"c:{one.inviter}"]["b"] += one.size
        if one.ended is None:
            expected[f"c:{one.inviter}"]["o"] += 1


def _add_groups(server: RedisServer, expected: "defaultdict[str, Counter[str]]") -> None:
    standing: set[str] = set()
    for gid, text in _strings(server, "g:"):
        stands = read(text)
        group = group_record.decode_group(stands.body)
        assert (group.gid, group.n, group_meta(group)) == (gid, stands.n, stands.meta)
        if stands.handed.mark < group.n:
            expected["unmarked:g"][gid] = 0
        if group.dismissed is None:
            standing.add(gid)
        else:
            expected["over"][f"1{stands.ticket:016}{gid}"] = group.dismissed
        expected[f"c:{group.maker}"]["g"] += 1
    for key in server.call("KEYS", f"{BASE}p:*"):
        gid = key.decode().removeprefix(f"{BASE}p:")
        assert gid in standing
        flat = server.call("HGETALL", key)
        for user, row in zip(flat[::2], flat[1::2], strict=True):
            person = group_record.decode_person(row[1:])
            assert (person.user, LETTERS[person.standing]) == (user.decode(), row[:1].decode())
            expected[f"s:{row[:1].decode()}:{gid}"][person.user] = 0
            if row[:1] == b"m":
                expected[f"m:{person.user}"][gid] = 0


def _strings(server: RedisServer, kind: str) -> list[tuple[str, bytes]]:
    keys = server.call("KEYS", f"{BASE}{kind}*")
    return [(key.decode().removeprefix(BASE + kind), server.call("GET", key)) for key in keys]
