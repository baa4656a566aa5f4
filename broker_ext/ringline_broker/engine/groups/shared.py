"""What all members of a group share: attributes and counters."""

from collections.abc import Mapping
from typing import Any

from ringline.protocol.errors import ATTRIBUTES_CHANGED, BAD_PARAMETER, TOO_LARGE
from ringline.protocol.group_requests import Count, SetAttributes
from ringline.protocol.group_shapes import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_COUNTERS
from ringline.protocol.limits import MAX_INT
from ringline_broker.engine.groups.draft import DONE, REPEATED, Draft, GroupReply
from ringline_broker.engine.step import Refused


def set_attributes(draft: Draft, request: SetAttributes) -> GroupReply:
    """Delete all, delete some, write some, in this order; only what differs is told."""
    old, version = draft.group.attributes, draft.group.attributes_n
    if request.at is not None and request.at != version:
        return Refused(ATTRIBUTES_CHANGED, f"the attributes are at version {version}, not {request.at}", "at")
    kept = {} if request.clear else {key: value for key, value in old.items() if key not in request.drop}
    attributes = kept | (request.put or {})
    put = {key: value for key, value in attributes.items() if old.get(key) != value}
    drop = tuple(key for key in old if key not in attributes)
    if not put and not drop:
        return REPEATED
    if (fault := _size_fault(attributes)) is not None:
        return fault
    changes: dict[str, Any] = {"put": put} if put else {}
    n = draft.add("attributes", **changes, drop=drop)
    draft.group = draft.group._replace(attributes=attributes, attributes_n=n)
    return DONE


def _size_fault(attributes: Mapping[str, bytes]) -> Refused | None:
    if len(attributes) > MAX_ATTRIBUTES:
        return Refused(TOO_LARGE, f"a group has at most {MAX_ATTRIBUTES} attributes", "put")
    if sum(len(key.encode()) + len(value) for key, value in attributes.items()) > MAX_ATTRIBUTES_BYTES:
        return Refused(TOO_LARGE, f"a group's attributes have at most {MAX_ATTRIBUTES_BYTES} bytes", "put")
    return None


def count(draft: Draft, request: Count) -> GroupReply:
    """Add to a counter, or set it. One at 0 is as one that does not exist, and takes no room."""
    old = draft.group.counters.get(request.key, 0)
    match request.add, request.put:
        case int() as more, None:
            field, value = "add", old + more
        case None, int() as value:
            field = "put"
        case _:
            return Refused(BAD_PARAMETER, "takes either `add` or `put`", "add")
    if value == old:
        return REPEATED
    if abs(value) > MAX_INT:
        return Refused(BAD_PARAMETER, "the counter would leave what an integer holds exactly", field)
    others = {key: number for key, number in draft.group.counters.items() if key != request.key}
    if len(others) >= MAX_COUNTERS:
        return Refused(TOO_LARGE, f"a group has at most {MAX_COUNTERS} counters that are not 0", "key")
    draft.group = draft.group._replace(counters=others | {request.key: value} if value else others)
    draft.add("counter", key=request.key, value=value)
    return DONE
