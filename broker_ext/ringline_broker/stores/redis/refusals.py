"""What redis says when it refuses, and what to do about it."""

from typing import Final

from hiredis import ReplyError

from ringline_broker.service.ports import StoreUnavailable

_ADVICE: Final = {
    "WRONGPASS": ("the user name or the password is wrong", "correct them in the store's URL"),
    "NOAUTH": ("it asks for a password", "put it into the store's URL, redis://:PASSWORD@HOST"),
    "NOPERM": ("the user may not do this", "give it all commands on keys and scripts of the store (ACL SETUSER)"),
    "LOADING": ("it reads its data after a start", "wait until that is done"),
    "READONLY": ("it is a read-only replica", "give the primary's address, or redis+sentinel:// which finds it"),
    "OOM": ("it is out of memory", "raise its maxmemory"),
    "MISCONF": ("it cannot save to its disk", "see its log, and make room"),
    "NOREPLICAS": ("it has too few good replicas (min-replicas-to-write)", "see why they do not follow"),
    "CLUSTERDOWN": ("slots of the cluster are served by nobody", "wait for its failover, or mend it"),
    "MASTERDOWN": ("it is a replica that lost its primary", "wait for the failover"),
    "TRYAGAIN": ("the slot of these keys is being moved", "wait until that is done"),
    "ASK": ("the slot of these keys is being moved", "wait until that is done"),
    "MOVED": ("the slot of these keys is elsewhere", "for a cluster the store's URL begins with redis+cluster://"),
    "BUSY": ("a script keeps it busy", "find out whose it is (SCRIPT KILL ends it)"),
    "NOGOODSLAVE": ("there is no replica to take over", ""),
}
DEMOTED: Final = frozenset({"READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN"})
"""After these another server may be the one to ask."""


def word(reply: ReplyError) -> str:
    """The first word of an error, which says of what kind it is."""
    return str(reply).partition(" ")[0]


def refused(where: object, reply: ReplyError) -> StoreUnavailable:
    """The error to raise where a server refuses."""
    if "without any password configured" in str(reply):
        text = "take the password out of the store's URL"
        return StoreUnavailable(f"redis at {where} has no password ({reply})", text)
    kind = word(reply)
    if "invalid password" in str(reply):
        kind = "WRONGPASS"
    elif "non local key" in str(reply):
        kind = "TRYAGAIN"
    if kind not in _ADVICE:
        return StoreUnavailable(f"redis at {where}: {reply}")
    what, remedy = _ADVICE[kind]
    return StoreUnavailable(f"redis at {where} refuses: {what} ({reply})", remedy)
