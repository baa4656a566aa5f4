"""Becoming a member of a group, and ceasing to be: what a device hears of it, once, and what it asks for then."""

import pytest

from ringline.core.held import GAP_WAIT_S, REMEMBER_S
from ringline.protocol.answers import Answer
from ringline.protocol.group_requests import JoinGroup, SyncGroup
from ringline.protocol.shapes import GroupEvent
from tests.unit.client.group_play import (
    GID,
    answer_group,
    answer_sync,
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
    names,
    processed,
)
from tests.unit.client.world import TOPICS, new_id

TOPIC = TOPICS.group_events(GID)


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
    assert names(ann) == [callback, "group_counter_changed"]
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
    assert (names(ann), ann.outgoing) == ([callback], [])
    ann.lose()
    ann.connect()
    answer_sync(ann)
    assert names(ann) == [callback, "connected"]


def test_others_who_come_and_go_change_nothing() -> None:
    ann = member()
    ann.hear_in(GID, invited(11, 10, "bob"), entered(12, 11, "cid"), kicked(13, 12, "bob"), left(14, 13, "cid"))
    assert names(ann) == ["member_invited", "member_enter", "member_kicked", "member_leave"]
    assert ann.topics == {TOPIC}


def test_what_was_still_missing_when_it_left_is_waited_for() -> None:
    ann = member()
    ann.hear(kicked(13, 12))
    assert names(ann) == []
    ann.hear_in(GID, count(11), count(12))
    assert names(ann) == ["group_counter_changed", "group_counter_changed", "member_kicked"]


def test_what_was_still_missing_when_it_left_is_not_waited_for_for_ever() -> None:
    ann = member()
    ann.hear_in(GID, count(12))
    ann.hear(kicked(13, 12))
    ann.wait(GAP_WAIT_S)
    assert names(ann) == ["group_counter_changed", "member_kicked"]
    assert ann.outgoing == []
    ann.hear_in(GID, count(11))
    assert len(ann.heard) == 2


def test_out_and_in_again_in_one_message() -> None:
    ann = member()
    ann.hear(kicked(11, 10), invited(12, 11))
    assert ann.grant() == [GID]
    assert answer_group(ann, count(13)).n == 12
    ann.hear_in(GID, count(14))
    assert names(ann) == ["member_kicked", "member_invited"] + ["group_counter_changed"] * 2


def test_in_again_before_out_is_heard() -> None:
    ann = member()
    ann.hear(invited(15, 11))
    ann.hear(kicked(11, 10))
    assert names(ann) == ["member_kicked", "member_invited"]
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
    assert names(ann) == ["application_processed", "application_processed", "member_enter"]
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
    assert names(ann) == ["member_enter"]


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
