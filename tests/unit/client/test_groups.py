"""How a device learns of its groups: subscribe, then sync; events in order and once, whichever topic they come on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.core.held import GAP_WAIT_S, REMEMBER_S
from ringline.protocol.group_messages import JoinGroup, MemberInvited, SyncGroup
from ringline.protocol.messages import Answer, Refusal
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
    dismissed,
    entered,
    invited,
    kicked,
    left,
    member,
    processed,
    state,
)
from tests.unit.client.world import TOPICS, Device, new_id

TOPIC = TOPICS.group_events(GID)


def _names(device: Device) -> list[str]:
    return [name for name, _ in device.heard]


def _refuse(device: Device, name: str = "group_not_permitted") -> None:
    device.answer(Answer(re=device.take(SyncGroup).id, err=Refusal(code=10007, name=name)))


# Connecting.


def test_each_group_is_subscribed_to_and_then_synced_and_then_it_is_connected() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {"a": 3, "b": 5})
    assert ann.outgoing == []
    assert ann.grant() == ["a", "b"]
    first, second = ann.outgoing
    assert isinstance(first, SyncGroup)
    assert isinstance(second, SyncGroup)
    assert [(one.gid, one.n, one.known) for one in (first, second)] == [("a", None, None), ("b", None, None)]
    ann.answer(Answer(re=first.id, group=state(3, "a")))
    assert _names(ann) == []
    ann.answer(Answer(re=second.id, group=state(5, "b")))
    assert _names(ann) == ["connected"]


def test_the_groups_of_all_pages_count() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {"a": 3}, more=True, next=b"p")
    assert ann.subscribing == []
    answer_sync(ann, {"b": 5})
    assert sorted(ann.grant()) == ["a", "b"]


def test_without_groups_it_is_connected_at_once() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann)
    assert (_names(ann), ann.subscribing) == (["connected"], [])


def test_connected_once_though_groups_come_later() -> None:
    ann = connected()
    ann.hear(invited(5, 4))
    ann.grant()
    answer_group(ann)
    assert _names(ann) == ["member_invited"]


def test_a_group_of_many_pages() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    answer_group(ann, group=state(10), more=True, next=b"page 2")
    assert _names(ann) == []
    assert answer_group(ann).next == b"page 2"
    assert _names(ann) == ["connected"]


def test_many_groups_are_not_asked_about_all_at_once() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {f"g{number}": 1 for number in range(100)})
    ann.grant()
    most = 0
    for _ in range(100):
        most = max(most, len(ann.outgoing))
        request = ann.outgoing.pop(0)
        assert isinstance(request, SyncGroup)
        ann.answer(Answer(re=request.id, group=state(1, request.gid)))
    assert _names(ann) == ["connected"]
    assert most <= 8


def test_a_new_connection_asks_for_what_came_after_what_was_heard() -> None:
    ann = member(10)
    ann.hear_in(GID, count(11))
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 13})
    ann.grant()
    assert answer_group(ann, count(12), count(13)).n == 11
    assert _names(ann) == ["group_counter_changed"] * 3 + ["connected"]
    assert counted(ann) == [11, 12, 13]


def test_a_refused_topic_drops_the_group_and_nothing_else() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant(ok=False)
    ann.wait(60)
    assert (_names(ann), ann.outgoing, ann.subscribing) == (["connected"], [], [])
    ann.hear_in(GID, count(11))
    assert _names(ann) == ["connected"]


@pytest.mark.parametrize("name", ["group_not_permitted", "unknown_group", "not_members"])
def test_a_refused_sync_drops_the_group_and_nothing_else(name: str) -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    _refuse(ann, name)
    ann.wait(60)
    assert (_names(ann), ann.outgoing, ann.topics) == (["connected"], [], set())


def test_a_group_that_is_taken_away_while_it_reconnects_is_told_of_once_with_its_reason() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 11})
    ann.grant(ok=False)
    ann.hear(kicked(12, 10))
    ann.wait(10)
    assert _names(ann) == ["connected", "member_kicked"]


def test_a_group_that_is_taken_away_and_nobody_says_why_is_gone() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 11})
    ann.grant(ok=False)
    ann.wait(10)
    ann.hear(kicked(12, 10))
    assert _names(ann) == ["connected", "quit_from_group"]
    assert ann.heard[1][1].reason == "gone"


def test_a_group_that_is_not_named_any_more_is_gone() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann)
    assert _names(ann) == ["quit_from_group", "connected"]
    event = ann.heard[0][1]
    assert (event.group_id, event.reason, event.by, event.this_device) == (GID, "gone", None, False)
    ann.hear(kicked(11, 10))  # what it was, published late
    assert _names(ann) == ["quit_from_group", "connected"]


def test_what_is_heard_while_it_syncs_counts_more_than_what_the_sync_tells() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    ann.hear(kicked(11, 10))
    ann.hear(MemberInvited(gid="g2", n=15, p=14, by="zoe", users=("ann",)))
    answer_sync(ann, {GID: 10})
    assert ann.grant() == ["g2"]
    answer_group(ann)
    assert _names(ann) == ["member_kicked", "member_invited", "connected"]


def test_a_failed_sync_keeps_the_groups_there_are() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id, err=Refusal(code=6017, name="bad_parameter")))
    assert ann.grant() == [GID]
    answer_group(ann)
    assert _names(ann) == ["connected"]


def test_without_a_connection_nothing_is_subscribed_to() -> None:
    ann = Device("ann")
    ann.hear(invited(5, 4))
    assert (_names(ann), ann.subscribing) == (["member_invited"], [])
    ann.connect()
    answer_sync(ann, {GID: 6})
    ann.grant()
    assert answer_group(ann, count(6)).n == 5
    assert _names(ann) == ["member_invited", "group_counter_changed", "connected"]


def test_a_lost_connection_ends_a_sync_of_a_group() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    old = ann.take(SyncGroup)
    ann.lose()
    ann.answer(Answer(re=old.id, group=state(10)))
    ann.wait(60)
    assert (_names(ann), ann.outgoing) == ([], [])


# Becoming a member, and ceasing to be.


@pytest.mark.parametrize(
    ("event", "callback"),
    [(invited(5, 4), "member_invited"), (entered(5, 4), "member_enter"), (created(), "group_created")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_who_becomes_a_member_subscribes_and_asks_for_what_came_since(event: GroupEvent, callback: str) -> None:
    ann, following = connected(), (count(event.n + 1, event.n), count(event.n + 2))
    ann.hear(event)
    assert ann.grant() == [GID]
    assert answer_group(ann, following[0]).n == event.n
    assert _names(ann) == [callback, "group_counter_changed"]
    ann.hear_in(GID, event, *following)
    assert counted(ann) == [event.n + 1, event.n + 2]
    assert len(ann.heard) == 3


def test_another_user_s_group_is_no_group_of_this_one() -> None:
    ann = connected()
    ann.hear(invited(5, 4, "bob"), created("bob"))
    assert ann.subscribing == []


@pytest.mark.parametrize(
    ("event", "callback"),
    [(kicked(11, 10), "member_kicked"), (left(11, 10), "quit_from_group"), (dismissed(11, 10), "group_dismissed")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_who_is_a_member_no_longer_hears_it_once_and_nothing_afterwards(event: GroupEvent, callback: str) -> None:
    ann = member()
    ann.hear(event)
    assert ann.topics == set()
    ann.hear_in(GID, event, count(12, 11))
    ann.hear(event)
    ann.wait(60)
    assert (_names(ann), ann.outgoing) == ([callback], [])
    ann.lose()
    ann.connect()
    answer_sync(ann)
    assert _names(ann) == [callback, "connected"]


def test_others_who_come_and_go_change_nothing() -> None:
    ann = member()
    ann.hear_in(GID, invited(11, 10, "bob"), entered(12, 11, "cid"), kicked(13, 12, "bob"), left(14, 13, "cid"))
    assert _names(ann) == ["member_invited", "member_enter", "member_kicked", "member_leave"]
    assert ann.topics == {TOPIC}


def test_what_was_still_missing_when_it_left_is_waited_for() -> None:
    ann = member()
    ann.hear(kicked(13, 12))
    assert _names(ann) == []
    ann.hear_in(GID, count(11), count(12))
    assert _names(ann) == ["group_counter_changed", "group_counter_changed", "member_kicked"]


def test_what_was_still_missing_when_it_left_is_not_waited_for_for_ever() -> None:
    ann = member()
    ann.hear_in(GID, count(12))
    ann.hear(kicked(13, 12))
    ann.wait(GAP_WAIT_S)
    assert _names(ann) == ["group_counter_changed", "member_kicked"]
    assert ann.outgoing == []
    ann.hear_in(GID, count(11))
    assert len(ann.heard) == 2


def test_out_and_in_again_in_one_message() -> None:
    ann = member()
    ann.hear(kicked(11, 10), invited(12, 11))
    assert ann.grant() == [GID]
    assert answer_group(ann, count(13)).n == 12
    ann.hear_in(GID, count(14))
    assert _names(ann) == ["member_kicked", "member_invited"] + ["group_counter_changed"] * 2


def test_in_again_before_out_is_heard() -> None:
    ann = member()
    ann.hear(invited(15, 11))
    ann.hear(kicked(11, 10))
    assert _names(ann) == ["member_kicked", "member_invited"]
    ann.grant()
    assert answer_group(ann).n == 15


def test_only_the_suback_of_the_last_subscribe_counts() -> None:
    ann = connected()
    ann.hear(invited(5, 4))
    ann.hear(kicked(6, 5))
    ann.hear(invited(7, 6))
    assert ann.subscribing == [TOPIC, TOPIC]
    ann.core.group_subscribed(TOPIC, True, ann.now)
    ann._drain()
    assert ann.outgoing == []
    ann.core.group_subscribed(TOPIC, True, ann.now)
    ann._drain()
    assert ann.take(SyncGroup).n == 7


def test_in_and_out_in_one_message_subscribes_to_nothing() -> None:
    ann = connected()
    ann.hear(invited(5, 4), kicked(6, 5))
    assert ann.subscribing == []
    ann.hear(invited(7, 6))
    ann.grant()
    assert answer_group(ann).n == 7


def test_an_applicant_hears_of_the_decision_once() -> None:
    ann = connected()
    ann.hear(processed(5, ok=False))
    ann.hear(processed(5, ok=False))
    ann.hear(processed(9), entered(10, 4))
    ann.grant()
    answer_group(ann)
    assert _names(ann) == ["application_processed", "application_processed", "member_enter"]
    assert [event.accepted for name, event in ann.heard if name == "application_processed"] == [False, True]


def test_what_is_left_behind_is_forgotten_after_ten_minutes() -> None:
    ann = member()
    ann.hear(kicked(11, 10))
    bob = connected("bob")
    bob.hear(processed(5, "bob", ok=False))
    for device in (ann, bob):
        device.wait(REMEMBER_S - 1)
        assert device.core._groups._held
        device.wait(1)
        assert not device.core._groups._held
        assert device.core.next_wakeup() is None


# Order.


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
    assert _names(ann) == ["group_counter_changed", "receive_join_application"]


def test_an_event_for_some_that_the_state_covers_is_not_heard() -> None:
    ann = member(10)
    ann.hear(applied(10))
    assert _names(ann) == []


def test_the_first_event_for_all_has_no_other_before_it() -> None:
    ann = connected()
    ann.hear(created())
    ann.grant()
    answer_group(ann)
    ann.hear_in(GID, count(4, 2), invited(2, 0, "bob"))
    ann.hear(invited(2, 0, "bob"))
    assert _names(ann) == ["group_created", "member_invited", "group_counter_changed"]
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
    assert _names(ann) == ["group_counter_changed", "connected", "group_counter_changed", "member_kicked"]


def test_what_comes_before_the_state_waits_for_it() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    ann.hear_in(GID, count(10), count(11), count(12))
    assert counted(ann) == []
    answer_group(ann, group=state(11))
    assert _names(ann) == ["group_counter_changed", "connected"]
    assert counted(ann) == [12]


def test_who_hears_of_joining_while_the_state_is_asked_for_asks_again() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    ann.hear(invited(9, 8))
    answer_group(ann, group=state(11))
    assert answer_group(ann, count(10), count(11)).n == 9
    assert _names(ann) == ["member_invited", "group_counter_changed", "group_counter_changed", "connected"]


def test_too_far_behind_the_state_is_told() -> None:
    ann = member()
    ann.hear_in(GID, count(500))
    ann.wait(GAP_WAIT_S)
    answer_group(ann, group=state(501, name="new", counters={"k": 3}, attributes={"a": b"\x07"}, role="member"))
    assert _names(ann) == ["group_state"]
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
    assert _names(ann) == ["group_state", "connected", "group_counter_changed"]


@settings(max_examples=150, deadline=None)
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


# What was lost.


def test_a_join_whose_event_was_lost_is_found_by_its_answer() -> None:
    ann = connected()
    request = JoinGroup(id=new_id(), dev="d1", gid=GID)
    ann.request(request)
    ann.take(JoinGroup)
    ann.answer(Answer(re=request.id, n=7))
    ann.wait(GAP_WAIT_S)
    ann.grant()
    assert answer_group(ann, entered(7, 6)).n == 6
    assert _names(ann) == ["member_enter"]


def test_an_answer_about_a_version_that_others_heard_of_is_asked_about_once() -> None:
    ann = member()
    for _ in range(2):
        request = JoinGroup(id=new_id(), dev="d1", gid=GID)
        ann.request(request)
        ann.take(JoinGroup)
        ann.answer(Answer(re=request.id, n=12))
        ann.wait(GAP_WAIT_S)
        if ann.outgoing:
            answer_group(ann)
    assert ann.core.counts.syncs == 3
    ann.hear_in(GID, count(13, 10))
    assert counted(ann) == [13]


def test_a_pending_join_makes_nobody_a_member() -> None:
    ann = connected()
    request = JoinGroup(id=new_id(), dev="d1", gid=GID)
    ann.request(request)
    ann.take(JoinGroup)
    ann.answer(Answer(re=request.id, n=7, pending=True))
    ann.wait(60)
    assert (ann.settled[request.id].result, ann.subscribing) == (False, [])
