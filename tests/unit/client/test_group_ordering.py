"""A group's events are heard in order and once, whichever topic they come on; what is missing is asked for."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.core.held import GAP_WAIT_S
from ringline.protocol.group_requests import SyncGroup
from ringline.protocol.shapes import GroupEvent
from tests.unit.client.group_play import (
    GID,
    answer_group,
    answer_sync,
    applied,
    connected,
    count,
    counted,
    created,
    invited,
    kicked,
    member,
    names,
    state,
)
from tests.unit.client.world import Device


def test_events_come_in_order_and_once_from_both_topics() -> None:
    ann = member()
    ann.hear_in(GID, count(12), count(13))
    ann.hear(count(12))
    assert counted(ann) == []
    ann.wait(GAP_WAIT_S / 2)
    ann.hear_in(GID, count(11))
    ann.hear(count(11), count(13))
    ann.wait(60)
    assert counted(ann) == [11, 12, 13]
    assert ann.outgoing == []
    assert ann.core.counts.repeats_dropped == 3
    assert ann.core.counts.gaps == 1


def test_what_stays_missing_is_asked_for() -> None:
    ann = member()
    ann.hear_in(GID, count(12))
    ann.wait(GAP_WAIT_S)
    assert answer_group(ann, count(11), count(12)).n == 10
    ann.wait(60)
    assert (counted(ann), ann.outgoing) == ([11, 12], [])


def test_what_the_server_does_not_have_either_is_asked_for_again() -> None:
    ann = member()
    ann.hear_in(GID, count(12))
    for _ in range(3):
        ann.wait(GAP_WAIT_S)
        answer_group(ann)
    assert counted(ann) == []


def test_events_for_some_wait_for_nothing_and_hold_up_nothing() -> None:
    ann = member()
    ann.hear(applied(11))
    ann.hear(applied(13, "tim"))
    ann.hear(applied(11))
    ann.hear_in(GID, count(14, 12))
    ann.hear_in(GID, count(12, 10))
    assert [event.user for name, event in ann.heard if name == "receive_join_application"] == ["max", "tim"]
    assert counted(ann) == [12, 14]
    assert ann.core.next_wakeup() is None


def test_an_event_for_some_that_comes_late_is_heard_all_the_same() -> None:
    ann = member()
    ann.hear_in(GID, count(12, 10))
    ann.hear(applied(11))
    ann.hear(applied(11))
    assert names(ann) == ["group_counter_changed", "receive_join_application"]


def test_an_event_for_some_that_the_state_covers_is_not_heard() -> None:
    ann = member(10)
    ann.hear(applied(10))
    assert names(ann) == []


def test_the_first_event_for_all_has_no_other_before_it() -> None:
    ann = connected()
    ann.hear(created())
    ann.grant()
    answer_group(ann)
    ann.hear_in(GID, count(4, 2), invited(2, 0, "bob"))
    ann.hear(invited(2, 0, "bob"))
    assert names(ann) == ["group_created", "member_invited", "group_counter_changed"]
    ann.hear_in(GID, count(5, 4))
    assert counted(ann) == [4, 5]


def test_a_broker_without_group_topics_sends_all_of_it_to_the_user() -> None:
    ann = Device("ann")
    ann.connect()
    ann.hear(count(10), count(11))  # nobody knows yet that ann is a member
    answer_sync(ann, {GID: 11})
    ann.grant()
    ann.hear(count(12))
    answer_group(ann, group=state(11))
    ann.hear(count(13), kicked(14, 13), count(15))
    assert names(ann) == ["group_counter_changed", "connected", "group_counter_changed", "member_kicked"]


def test_what_comes_before_the_state_waits_for_it() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    ann.hear_in(GID, count(10), count(11), count(12))
    assert counted(ann) == []
    answer_group(ann, group=state(11))
    assert names(ann) == ["group_counter_changed", "connected"]
    assert counted(ann) == [12]


def test_who_hears_of_joining_while_the_state_is_asked_for_asks_again() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    ann.hear(invited(9, 8))
    answer_group(ann, group=state(11))
    assert answer_group(ann, count(10), count(11)).n == 9
    assert names(ann) == ["member_invited", "group_counter_changed", "group_counter_changed", "connected"]


def test_too_far_behind_the_state_is_told() -> None:
    ann = member()
    ann.hear_in(GID, count(500))
    ann.wait(GAP_WAIT_S)
    answer_group(ann, group=state(501, name="new", counters={"k": 3}, attributes={"a": b"\x07"}, role="member"))
    assert names(ann) == ["group_state"]
    info = ann.heard[0][1].info
    assert (info.group_id, info.name, info.counters, info.attributes) == (GID, "new", {"k": 3}, {"a": 7})
    ann.hear_in(GID, count(501), count(502))
    assert counted(ann) == [502]


def test_a_server_that_lost_versions_tells_its_state_and_goes_on_from_there() -> None:
    ann = member(100)
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 5})
    ann.grant()
    answer_group(ann, group=state(5))
    ann.hear_in(GID, count(6))
    assert names(ann) == ["group_state", "connected", "group_counter_changed"]


@settings(max_examples=150)
@given(st.data())
def test_whatever_happens_on_the_way_each_event_is_heard_once_and_in_order(data: st.DataObject) -> None:
    log = [applied(n) if data.draw(st.booleans()) else n for n in range(11, 31)]
    events: list[GroupEvent] = []
    before = 10
    for entry in log:
        if isinstance(entry, int):
            events.append(count(entry, before))
            before = entry
        else:
            events.append(entry)
    ann = member(10)
    reached = 10
    while reached < 30:
        reached = data.draw(st.integers(reached + 1, 30))
        under_way = [event for event in events if event.n <= reached]
        for event in data.draw(st.lists(st.sampled_from(under_way), max_size=8)):
            if data.draw(st.booleans()) or event.p == 0:
                ann.hear(event)
            else:
                ann.hear_in(GID, event)
        match data.draw(st.sampled_from(("wait", "lose", "nothing"))):
            case "wait":
                ann.wait(GAP_WAIT_S)
                _catch_up(ann, under_way)
            case "lose":
                ann.lose()
                ann.connect()
                answer_sync(ann, {GID: reached})
                ann.grant()
                _catch_up(ann, under_way)
            case _:
                pass
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 30})
    ann.grant()
    _catch_up(ann, events)
    assert counted(ann) == [event.n for event in events if event.p]
    told = [name for name, _ in ann.heard if name == "receive_join_application"]
    assert len(told) <= sum(not event.p for event in events)


def _catch_up(ann: Device, events: list[GroupEvent]) -> None:
    if ann.outgoing:
        request = ann.take(SyncGroup)
        ann.outgoing.append(request)
        answer_group(ann, *(event for event in events if event.n > (request.n or 0)))
