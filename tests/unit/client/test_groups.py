"""How a device learns of its groups when it connects: it subscribes to each, then syncs it."""

import pytest

from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.group_events import MemberInvited
from ringline.protocol.group_requests import SyncGroup
from tests.unit.client.group_play import (
    GID,
    answer_group,
    answer_sync,
    connected,
    count,
    counted,
    invited,
    kicked,
    member,
    names,
    state,
)
from tests.unit.client.world import Device


def _refuse(device: Device, name: str = "group_not_permitted") -> None:
    device.answer(Answer(re=device.take(SyncGroup).id, err=Refusal(code=10007, name=name)))


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
    assert names(ann) == []
    ann.answer(Answer(re=second.id, group=state(5, "b")))
    assert names(ann) == ["connected"]


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
    assert (names(ann), ann.subscribing) == (["connected"], [])


def test_connected_once_though_groups_come_later() -> None:
    ann = connected()
    ann.hear(invited(5, 4))
    ann.grant()
    answer_group(ann)
    assert names(ann) == ["member_invited"]


def test_a_group_of_many_pages() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    answer_group(ann, group=state(10), more=True, next=b"page 2")
    assert names(ann) == []
    assert answer_group(ann).next == b"page 2"
    assert names(ann) == ["connected"]


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
    assert names(ann) == ["connected"]
    assert most <= 8


def test_a_new_connection_asks_for_what_came_after_what_was_heard() -> None:
    ann = member(10)
    ann.hear_in(GID, count(11))
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 13})
    ann.grant()
    assert answer_group(ann, count(12), count(13)).n == 11
    assert names(ann) == ["group_counter_changed"] * 3 + ["connected"]
    assert counted(ann) == [11, 12, 13]


def test_a_refused_topic_drops_the_group_and_nothing_else() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant(ok=False)
    ann.wait(60)
    assert (names(ann), ann.outgoing, ann.subscribing) == (["connected"], [], [])
    ann.hear_in(GID, count(11))
    assert names(ann) == ["connected"]


@pytest.mark.parametrize("name", ["group_not_permitted", "unknown_group", "not_members"])
def test_a_refused_sync_drops_the_group_and_nothing_else(name: str) -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    _refuse(ann, name)
    ann.wait(60)
    assert (names(ann), ann.outgoing, ann.topics) == (["connected"], [], set())


def test_a_group_that_is_taken_away_while_it_reconnects_is_told_of_once_with_its_reason() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 11})
    ann.grant(ok=False)
    ann.hear(kicked(12, 10))
    ann.wait(10)
    assert names(ann) == ["connected", "member_kicked"]


def test_a_group_that_is_taken_away_and_nobody_says_why_is_gone() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann, {GID: 11})
    ann.grant(ok=False)
    ann.wait(10)
    ann.hear(kicked(12, 10))
    assert names(ann) == ["connected", "quit_from_group"]
    assert ann.heard[1][1].reason == "gone"


def test_a_group_that_is_not_named_any_more_is_gone() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    answer_sync(ann)
    assert names(ann) == ["quit_from_group", "connected"]
    event = ann.heard[0][1]
    assert (event.group_id, event.reason, event.by, event.this_device) == (GID, "gone", None, False)
    ann.hear(kicked(11, 10))  # what it was, published late
    assert names(ann) == ["quit_from_group", "connected"]


def test_what_is_heard_while_it_syncs_counts_more_than_what_the_sync_tells() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    ann.hear(kicked(11, 10))
    ann.hear(MemberInvited(gid="g2", n=15, p=14, by="zoe", users=("ann",)))
    answer_sync(ann, {GID: 10})
    assert ann.grant() == ["g2"]
    answer_group(ann)
    assert names(ann) == ["member_kicked", "member_invited", "connected"]


def test_a_failed_sync_keeps_the_groups_there_are() -> None:
    ann = member()
    ann.lose()
    ann.connect()
    ann.answer(Answer(re=ann.take_sync().id, err=Refusal(code=6017, name="bad_parameter")))
    assert ann.grant() == [GID]
    answer_group(ann)
    assert names(ann) == ["connected"]


def test_without_a_connection_nothing_is_subscribed_to() -> None:
    ann = Device("ann")
    ann.hear(invited(5, 4))
    assert (names(ann), ann.subscribing) == (["member_invited"], [])
    ann.connect()
    answer_sync(ann, {GID: 6})
    ann.grant()
    assert answer_group(ann, count(6)).n == 5
    assert names(ann) == ["member_invited", "group_counter_changed", "connected"]


def test_a_lost_connection_ends_a_sync_of_a_group() -> None:
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    old = ann.take(SyncGroup)
    ann.lose()
    ann.answer(Answer(re=old.id, group=state(10)))
    ann.wait(60)
    assert (names(ann), ann.outgoing) == ([], [])
