"""Requests: repeated until they have an answer, one at a time for each invitation, given up in the end."""

from typing import Any

import pytest

from ringline.core.core import Core
from ringline.core.lanes import GIVE_UP_S, Lanes
from ringline.events import InvitationState
from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.errors import BY_NAME, Fault
from ringline.protocol.events import Accepted, Cancelled, Invited
from ringline.protocol.requests import Get, Ringing, Sync
from ringline.protocol.shapes import Request
from tests.unit.client.world import START, TOPICS, Device, World
from tests.unit.engine.play import IID, accept, cancel, get, invite, modify, reject, ringing


def _connected(user: str = "ann") -> Device:
    """Connected and up to date, with nobody at the other end."""
    device = Device(user)
    device.connect()
    device.answer(Answer(re=device.take_sync().id))
    device.sent.clear()
    return device


def _times(device: Device) -> list[float]:
    return [at - START for at, request in device.sent if not isinstance(request, Sync)]


def _ids(device: Device) -> list[bytes]:
    return [request.id for _, request in device.sent if not isinstance(request, Sync)]


def _refuse(device: Device, request_id: bytes, name: str, code: int = 8010) -> None:
    device.answer(Answer(re=request_id, err=Refusal(code=code, name=name)))


# Repeats.


def test_it_is_repeated_after_one_two_four_and_then_every_eight_seconds() -> None:
    ann = _connected()
    ann.request(accept())
    ann.wait(40)
    assert _times(ann) == [0, 1, 3, 7, 15, 23, 31, 39]
    assert len(set(_ids(ann))) == 1
    assert ann.core.counts.retries == 7


def test_a_repeat_is_the_same_bytes() -> None:
    core = Core("ann", "d1", TOPICS)
    core.subscribed(0.0)
    core.drain()
    core.request(accept(data=b"x"), 0.0)
    payloads = list(core.drain().messages)
    for now in (1.0, 3.0, 7.0):
        core.tick(now)
        payloads += [sent for sent in core.drain().messages if sent == payloads[0]]
    assert len(payloads) == 4


def test_it_is_given_up_after_ten_minutes() -> None:
    ann = _connected()
    asked = ann.request(accept())
    ann.wait(GIVE_UP_S - 0.5)
    assert ann.settled == {}
    ann.wait(0.5)
    assert ann.error(asked) == "no_answer"
    ann.sent.clear()
    ann.wait(3_600)
    assert ann.sent == []


@pytest.mark.parametrize(("timeout", "lasts"), [(30, 30), (1, 1), (0, GIVE_UP_S), (86_400, GIVE_UP_S)])
def test_an_invite_is_given_up_at_its_timeout(timeout: int, lasts: float) -> None:
    ann = _connected()
    asked = ann.request(invite("bob", timeout=timeout))
    ann.wait(lasts - 0.25)
    assert ann.settled == {}
    ann.wait(0.25)
    assert ann.error(asked) == "no_answer"


def test_without_a_connection_it_is_given_up_as_not_connected() -> None:
    ann = Device("ann")
    invited, accepted = ann.request(invite("bob")), ann.request(accept(iid="other"))
    ann.wait(30)
    assert ann.error(invited) == "not_connected"
    ann.wait(GIVE_UP_S - 30)
    assert ann.error(accepted) == "not_connected"
    assert ann.sent == []


def test_what_is_given_up_is_not_sent_by_a_connection_of_that_moment() -> None:
    """Nobody shall ring for an invitation that its application was told has failed."""
    ann = Device("ann")
    asked = ann.request(invite("bob", timeout=30))
    ann.now += 30
    ann.connect()
    ann.wait(0)
    ann.core.tick(ann.now)
    ann.wait(1)
    assert _ids(ann) == []
    assert ann.error(asked) == "not_connected"


def test_a_wait_for_nothing_wakes_nobody() -> None:
    assert Device("ann").core.next_wakeup() is None
    assert _connected().core.next_wakeup() is None


# Answers.


def test_the_event_itself_is_the_answer() -> None:
    ann = _connected()
    asked = ann.request(invite("bob"))
    ann.hear(Invited(iid=IID, n=1, by="ann", dev="d1", re=asked, to=("bob",), ttl=30_000))
    assert ann.error(asked) is None
    ann.wait(25)
    assert _times(ann) == [0]


@pytest.mark.parametrize("other", [{"by": "bob"}, {"dev": "d2"}, {"dev": None}, {"re": b"87654321"}])
def test_somebody_else_s_event_is_not(other: dict[str, Any]) -> None:
    ann = _connected()
    asked = ann.request(invite("bob"))
    fields: dict[str, Any] = {"by": "ann", "dev": "d1", "re": asked, **other}
    ann.hear(Invited(iid=IID, n=1, to=("bob",), **fields))
    assert ann.settled == {}


def test_an_answer_to_a_repeat_is_an_answer() -> None:
    ann = _connected()
    asked = ann.request(invite("bob"))
    ann.answer(Answer(re=asked, n=1))
    assert ann.error(asked) is None


def test_an_answer_to_a_repeat_whose_event_was_lost_brings_the_event_by_sync() -> None:
    world = World()
    ann = world.device("ann")
    asked = ann.request(invite("bob"))
    world.server.ask("ann", ann.outgoing.pop())  # done, but ann never hears of it
    ann.wait(1)
    world.run()
    assert ann.error(asked) is None
    assert ann.names() == []
    ann.wait(1)
    world.run()
    assert ann.names() == ["invitation_created"]


def test_what_an_answer_to_a_repeat_names_is_not_kept_when_there_is_nothing_to_hear() -> None:
    """A cancel of an id nobody knows is answered with a version, and is no event to anybody."""
    world = World()
    ann = world.device("ann")
    for number in range(20):
        asked = ann.request(cancel(iid=f"unknown-{number}"))
        world.run()
        assert ann.error(asked) is None
        ann.wait(2)
        world.run()
    world.wait(700)
    assert ann.core._held == {}
    assert ann.names() == []


def test_an_answer_twice_settles_once() -> None:
    ann = _connected()
    asked = ann.request(accept())
    for _ in range(2):
        ann.answer(Answer(re=asked, n=2))
    _refuse(ann, asked, "invitation_over")
    assert ann.error(asked) is None


def test_a_refusal_is_final_and_carries_what_the_server_said() -> None:
    ann = _connected()
    asked = ann.request(accept())
    ann.answer(Answer(re=asked, err=Refusal(code=8010, name="invitation_over", text="over", field="to")))
    error = ann.settled[asked].error
    assert error is not None
    assert (error.code, error.name, error.text, error.field, error.fault) == (
        8010, "invitation_over", "over", "to", Fault.STATE
    )  # fmt: skip
    assert (ann.settled[asked].result, error.state) == (None, None)


def test_a_refusal_of_a_name_nobody_knows_is_final_too() -> None:
    ann = _connected()
    asked = ann.request(accept())
    _refuse(ann, asked, "brand_new", 9999)
    assert ann.error(asked) == "brand_new"


def test_an_unavailable_server_is_asked_again_at_the_usual_pace() -> None:
    ann = _connected()
    asked = ann.request(accept())
    for _ in range(3):
        _refuse(ann, asked, "server_unavailable", BY_NAME["server_unavailable"].code)
    ann.wait(8)
    assert _times(ann) == [0, 1, 3, 7]
    assert ann.settled == {}
    ann.answer(Answer(re=asked, n=2))
    assert ann.error(asked) is None


def test_get_brings_the_state() -> None:
    world = World()
    ann = world.device("ann")
    ann.request(invite("bob", data=b"\x05"))
    world.run()
    asked = ann.request(get())
    world.run()
    state = ann.settled[asked].result
    assert isinstance(state, InvitationState)
    assert (state.invite_id, state.inviter, state.invitees, state.data) == (IID, "ann", {"bob": "pending"}, 5)
    assert (state.time_left, state.outcome, state.device) == (30.0, None, None)


# One at a time for each invitation.


def test_the_next_request_waits_for_the_answer_to_the_one_before() -> None:
    ann = _connected()
    first, second, third = ann.request(invite("bob")), ann.request(modify(b"x")), ann.request(cancel("bob"))
    assert _ids(ann) == [first]
    ann.answer(Answer(re=first, n=1))
    assert _ids(ann) == [first, second]
    _refuse(ann, second, "invitation_over")
    assert _ids(ann) == [first, second, third]


def test_it_waits_for_the_one_before_to_be_given_up() -> None:
    ann = _connected()
    ann.request(invite("bob", timeout=2))
    second = ann.request(cancel())
    ann.wait(2)
    assert ann.sent[-1][1].id == second


def test_other_invitations_do_not_wait() -> None:
    ann = _connected()
    one, other = ann.request(accept(iid="one")), ann.request(accept(iid="other"))
    assert _ids(ann) == [one, other]


def test_an_answer_to_one_that_waits_behind_takes_just_that_one_out() -> None:
    ann = _connected()
    first, second = ann.request(modify(b"x")), ann.request(modify(b"y"))
    ann.answer(Answer(re=second, n=3))
    assert list(ann.settled) == [second]
    ann.wait(1)
    assert _ids(ann) == [first, first]


def test_ringing_is_sent_once_waits_for_nothing_and_is_never_answered() -> None:
    ann = _connected()
    ann.request(accept())
    rang = ann.request(ringing())
    assert ann.error(rang) is None
    ann.wait(30)
    assert [request.id for _, request in ann.sent if isinstance(request, Ringing)] == [rang]


def test_ringing_without_a_connection_is_not_kept() -> None:
    ann = Device("ann")
    rang = ann.request(ringing())
    assert ann.error(rang) is None
    ann.connect()
    assert not [request for _, request in ann.sent if isinstance(request, Ringing)]


# An invite that was never sent.


def test_cancel_withdraws_an_invite_that_was_never_sent() -> None:
    ann = Device("ann")
    invited = ann.request(invite("bob"))
    cancelled = ann.request(cancel())
    assert (ann.error(invited), ann.error(cancelled)) == ("withdrawn", None)
    ann.connect()
    assert _ids(ann) == []


def test_cancel_of_some_does_not_withdraw_it() -> None:
    ann = Device("ann")
    invited = ann.request(invite("bob", "cid"))
    ann.request(cancel("bob"))
    assert ann.settled == {}
    ann.connect()
    assert _ids(ann) == [invited]


def test_cancel_of_one_that_was_sent_goes_to_the_server() -> None:
    ann = _connected()
    invited = ann.request(invite("bob"))
    ann.lose()
    cancelled = ann.request(cancel())
    assert ann.settled == {}
    ann.connect()
    ann.answer(Answer(re=invited, n=1))
    assert _ids(ann)[-1] == cancelled


# Connections.


def test_a_new_connection_repeats_at_once_and_starts_with_short_waits() -> None:
    ann = _connected()
    ann.request(accept())
    ann.wait(20)
    ann.lose()
    ann.wait(10)
    ann.sent.clear()
    ann.connect()
    ann.wait(4)
    assert _times(ann) == [30, 31, 33]


def test_while_there_is_none_nothing_is_sent() -> None:
    ann = _connected()
    ann.request(accept())
    ann.lose()
    ann.wait(60)
    assert _times(ann) == [0]


def test_of_a_lane_only_the_first_is_hurried() -> None:
    ann = Device("ann")
    first = ann.request(modify(b"x"))
    ann.request(modify(b"y"))
    ann.connect()
    assert _ids(ann) == [first]


def test_close_fails_what_has_no_answer() -> None:
    ann = _connected()
    asked = [ann.request(accept()), ann.request(reject()), ann.request(get(iid="other"))]
    ann.core.close()
    ann._drain()
    assert [ann.error(one) for one in asked] == ["closed"] * 3
    ann.wait(30)
    assert _times(ann) == [0, 0]


# What is kept.


def test_nothing_is_kept_of_what_is_settled() -> None:
    ann = _connected()
    for number in range(50):
        asked = ann.request(accept(iid=f"i{number}"))
        ann.answer(Answer(re=asked, err=Refusal(code=1, name="x") if number % 2 else None))
    ann.wait(60)
    lanes = ann.core._lanes
    assert (lanes._lanes, lanes._by_id, list(lanes.invites()), lanes.take_all()) == ({}, {}, [], [])


def test_lanes_know_nothing_of_a_request_that_is_gone() -> None:
    lanes = Lanes()
    request: Request = Get(id=b"12345678", dev="d1", iid="i")
    lanes.add("i", request, 0.0)
    assert lanes.take_out(request.id, 1.0) is request
    assert lanes.take_out(request.id, 1.0) is None
    assert (lanes.find(request.id), lanes.unmade_invite("i"), lanes.next_at(connected=True)) == (None, None, None)


def test_events_that_answer_come_in_their_turn() -> None:
    """An answer whose event waits for another is settled with it, at the latest by sync."""
    ann = _connected()
    asked = ann.request(cancel())
    ann.hear(Cancelled(iid=IID, n=3, p=2, by="ann", dev="d1", re=asked, out=("bob",), end="cancelled"))
    assert ann.settled == {}
    ann.hear(Invited(iid=IID, n=1, by="ann", dev="d2", to=("bob", "cid")))
    ann.hear(Accepted(iid=IID, n=2, p=1, by="cid", dev="c1"))
    assert ann.error(asked) is None
