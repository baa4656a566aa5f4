"""Too much at once: the server says how long to wait. What is short is waited out; what is not, the caller hears of."""

import pytest

from ringline.core.lanes import FIRST_RETRY_S, GIVE_UP_S, LONGEST_RETRY_S
from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.errors import TOO_MANY_REQUESTS
from ringline.protocol.events import Invited
from ringline.protocol.group_requests import SyncGroup
from ringline.protocol.limits import MAX_INT
from ringline.protocol.requests import Cancel, Sync
from ringline.protocol.shapes import Request
from tests.unit.client.group_play import GID, answer_sync, connected, state
from tests.unit.client.world import START, Device
from tests.unit.engine.play import IID, accept, cancel, invite, modify

LONGEST_MS = int(LONGEST_RETRY_S * 1_000)


def _refuse(device: Device, request_id: bytes, wait: int | None) -> None:
    code, name = TOO_MANY_REQUESTS.code, TOO_MANY_REQUESTS.name
    device.answer(Answer(re=request_id, err=Refusal(code=code, name=name, text="too much", wait=wait)))


def _invited(request_id: bytes) -> Invited:
    return Invited(iid=IID, n=1, by="ann", dev="d1", re=request_id, to=("bob",), ttl=30_000)


def _sends(device: Device, kind: type[Request] = Request) -> list[tuple[float, bytes]]:
    return [(at - START, request.id) for at, request in device.sent if isinstance(request, kind)]


def _ann() -> Device:
    """Connected and up to date, with nothing sent yet."""
    ann = connected("ann")
    ann.sent.clear()
    ann.outgoing.clear()
    return ann


def _retry_after(device: Device, request_id: bytes) -> float | None:
    error = device.settled[request_id].error
    assert error is not None
    return error.retry_after


# What is short is waited out.


@pytest.mark.parametrize("wait", [250, 500, 1_000, 5_000, LONGEST_MS])
def test_the_same_request_is_sent_again_when_the_time_is_over(wait: int) -> None:
    ann = _ann()
    asked = ann.request(accept())
    _refuse(ann, asked, wait)
    ann.wait(wait / 1_000)
    assert _sends(ann) == [(0, asked), (wait / 1_000, asked)]
    assert ann.settled == {}
    ann.answer(Answer(re=asked))
    assert ann.error(asked) is None
    ann.wait(60)
    assert len(_sends(ann)) == 2


def test_a_server_that_says_to_come_back_at_once_is_not_hammered() -> None:
    ann = _ann()
    asked = ann.request(accept())
    for _ in range(8):
        _refuse(ann, asked, 0)
        ann.wait(FIRST_RETRY_S / 4)
    assert [at for at, _ in _sends(ann)] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]


def test_it_is_waited_out_over_and_over() -> None:
    ann = _ann()
    asked = ann.request(accept())
    for _ in range(4):
        _refuse(ann, asked, 2_000)
        ann.wait(2)
    assert [at for at, _ in _sends(ann)] == [0, 2, 4, 6, 8]
    assert ann.core.counts.retries == 4


def test_afterwards_it_is_repeated_at_the_usual_pace_from_its_beginning() -> None:
    ann = _ann()
    asked = ann.request(accept())
    ann.wait(7)
    _refuse(ann, asked, 3_000)
    ann.wait(18)
    assert [at for at, _ in _sends(ann)] == [0, 1, 3, 7, 10, 11, 13, 17, 25]


def test_an_answer_that_comes_while_it_waits_counts() -> None:
    """Of two that were sent one was too much, and one was dealt with."""
    ann = _ann()
    asked = ann.request(invite("bob"))
    ann.wait(1)
    _refuse(ann, asked, 5_000)
    ann.hear(_invited(asked))
    assert ann.error(asked) is None
    ann.wait(20)
    assert len(_sends(ann)) == 2


def test_nothing_of_the_same_invitation_overtakes_it_and_others_go_on() -> None:
    ann = _ann()
    first, second, other = ann.request(modify(b"x")), ann.request(modify(b"y")), accept(iid="other")
    _refuse(ann, first, 3_000)
    ann.request(other)
    ann.wait(2.75)
    assert _sends(ann)[:2] == [(0, first), (0, other.id)]
    assert second not in [request_id for _, request_id in _sends(ann)]
    ann.answer(Answer(re=other.id, n=2))
    ann.wait(0.25)
    ann.answer(Answer(re=first, n=2))
    assert _sends(ann)[-2:] == [(3, first), (3, second)]


# What is not, the caller hears of.


@pytest.mark.parametrize("wait", [LONGEST_MS + 1, 60_000, MAX_INT])
def test_a_long_wait_fails_the_request_and_says_how_long(wait: int) -> None:
    ann = _ann()
    asked, behind = ann.request(modify(b"x")), ann.request(modify(b"y"))
    _refuse(ann, asked, wait)
    assert ann.error(asked) == "too_many_requests"
    assert _retry_after(ann, asked) == wait / 1_000
    assert [request_id for _, request_id in _sends(ann)] == [asked, behind]


def test_a_limit_that_no_time_lifts_fails_the_request() -> None:
    ann = _ann()
    asked = ann.request(invite("bob"))
    _refuse(ann, asked, None)
    assert ann.error(asked) == "too_many_requests"
    assert _retry_after(ann, asked) is None


def test_other_refusals_have_nothing_to_wait_for() -> None:
    ann = _ann()
    asked = ann.request(accept())
    ann.answer(Answer(re=asked, err=Refusal(code=8010, name="invitation_over")))
    assert _retry_after(ann, asked) is None


def test_a_server_that_just_cannot_is_asked_at_the_usual_pace_whatever_it_says() -> None:
    """It may have done what was asked, so nothing is withdrawn."""
    ann = _ann()
    invited = ann.request(invite("bob"))
    ann.answer(Answer(re=invited, err=Refusal(code=8100, name="server_unavailable", wait=60_000)))
    ann.request(cancel())
    ann.wait(3)
    assert _sends(ann) == [(0, invited), (1, invited), (3, invited)]
    assert ann.settled == {}


# The end of its time.


def test_a_wait_beyond_the_end_of_its_time_fails_it_at_once() -> None:
    ann = _ann()
    asked = ann.request(invite("bob", timeout=5))
    ann.wait(2)
    _refuse(ann, asked, 3_000)
    assert (ann.error(asked), _retry_after(ann, asked)) == ("too_many_requests", 3.0)


def test_it_is_given_up_at_its_end_for_all_its_waiting() -> None:
    ann = _ann()
    asked = ann.request(accept())
    for _ in range(int(GIVE_UP_S / LONGEST_RETRY_S)):
        assert ann.settled == {}
        _refuse(ann, asked, LONGEST_MS)
        ann.wait(LONGEST_RETRY_S)
    assert ann.error(asked) == "too_many_requests"
    assert ann.now - START == GIVE_UP_S
    assert _sends(ann)[-1][0] == GIVE_UP_S - LONGEST_RETRY_S


def test_one_that_waits_when_the_connection_ends_is_given_up_as_too_much() -> None:
    """The server did say something: neither is there no answer, nor was there no connection."""
    ann = _ann()
    asked = ann.request(invite("bob", timeout=10))
    _refuse(ann, asked, 6_000)
    ann.lose()
    ann.wait(9.75)
    assert ann.settled == {}
    ann.wait(0.25)
    assert (ann.error(asked), _retry_after(ann, asked)) == ("too_many_requests", 6.0)


def test_one_that_was_sent_again_is_given_up_as_not_answered() -> None:
    ann = _ann()
    asked = ann.request(invite("bob", timeout=10))
    _refuse(ann, asked, 6_000)
    ann.wait(10)
    assert ann.error(asked) == "no_answer"


# Connections.


def test_a_new_connection_does_not_shorten_the_wait() -> None:
    ann = _ann()
    asked = ann.request(accept())
    _refuse(ann, asked, 5_000)
    ann.lose()
    ann.wait(1)
    ann.connect()
    answer_sync(ann)
    ann.wait(9)
    assert [at for at, request_id in _sends(ann) if request_id == asked] == [0, 5, 6, 8]


def test_a_new_connection_after_the_wait_sends_it_at_once() -> None:
    ann = _ann()
    asked = ann.request(accept())
    _refuse(ann, asked, 2_000)
    ann.lose()
    ann.wait(5)
    ann.connect()
    assert [at for at, request_id in _sends(ann) if request_id == asked] == [0, 5]


# Cancel.


def test_an_invite_that_waits_is_withdrawn_here() -> None:
    ann = _ann()
    invited = ann.request(invite("bob"))
    _refuse(ann, invited, 3_000)
    cancelled = ann.request(cancel())
    assert (ann.error(invited), ann.error(cancelled)) == ("withdrawn", None)
    ann.wait(60)
    assert _sends(ann) == [(0, invited)]


def test_one_that_was_refused_more_than_once_is_cancelled_at_the_server_too() -> None:
    ann = _ann()
    invited = ann.request(invite("bob"))
    _refuse(ann, invited, 1_000)
    ann.wait(1)
    _refuse(ann, invited, 1_000)
    cancelled = ann.request(cancel())
    assert ann.error(invited) == "withdrawn"
    assert [request_id for _, request_id in _sends(ann)] == [invited, invited, cancelled]
    ann.answer(Answer(re=cancelled, n=1))
    assert ann.error(cancelled) is None


@pytest.mark.parametrize("refusals", [0, 1])
def test_one_of_which_something_may_have_come_is_not_withdrawn(refusals: int) -> None:
    ann = _ann()
    invited = ann.request(invite("bob"))
    ann.wait(1)
    for _ in range(refusals):
        _refuse(ann, invited, 1_000)
    cancelled = ann.request(cancel())
    assert ann.settled == {}
    assert not _sends(ann, Cancel)
    ann.hear(_invited(invited))
    assert [request_id for _, request_id in _sends(ann, Cancel)] == [cancelled]


def test_one_that_is_under_way_again_is_not_withdrawn() -> None:
    ann = _ann()
    invited = ann.request(invite("bob"))
    _refuse(ann, invited, 1_000)
    ann.wait(1)
    ann.request(cancel())
    assert ann.settled == {}


def test_a_refusal_of_what_was_never_sent_proves_nothing_of_what_is_sent_later() -> None:
    ann = Device("ann")
    invited = ann.request(invite("bob"))
    _refuse(ann, invited, 0)
    ann.connect()
    answer_sync(ann)
    ann.wait(0.25)
    assert [request_id for _, request_id in _sends(ann)][-1] == invited
    ann.request(cancel())
    assert ann.settled == {}


# Syncs.


@pytest.mark.parametrize("wait", [1_000, 60_000, 3_600_000])
def test_a_sync_is_waited_out_however_long_it_takes(wait: int) -> None:
    ann = Device("ann")
    ann.connect()
    sync = ann.take_sync()
    _refuse(ann, sync.id, wait)
    ann.wait(wait / 1_000 - 0.25)
    assert _sends(ann) == [(0, sync.id)]
    ann.wait(0.25)
    assert _sends(ann) == [(0, sync.id), (wait / 1_000, sync.id)]
    assert [name for name, _ in ann.heard] == []
    ann.answer(Answer(re=sync.id))
    assert [name for name, _ in ann.heard] == ["connected"]


def test_a_sync_that_is_too_much_without_a_time_goes_on_at_the_usual_pace() -> None:
    ann = Device("ann")
    ann.connect()
    sync = ann.take_sync()
    for _ in range(200):
        _refuse(ann, sync.id, None)
        ann.wait(LONGEST_RETRY_S)
    assert ann.now - START > GIVE_UP_S
    assert [at for at, _ in _sends(ann)][:5] == [0, 1, 3, 7, 15]
    assert len(_sends(ann)) > 200
    ann.answer(Answer(re=sync.id))
    assert [name for name, _ in ann.heard] == ["connected"]


def test_a_sync_that_waits_is_made_anew_by_a_new_connection() -> None:
    ann = Device("ann")
    ann.connect()
    first = ann.take_sync()
    _refuse(ann, first.id, 3_600_000)
    ann.lose()
    ann.connect()
    second = ann.take_sync()
    assert second.id != first.id
    ann.answer(Answer(re=second.id))
    assert [name for name, _ in ann.heard] == ["connected"]
    assert ann.core.next_wakeup() is None


def test_the_sync_of_a_group_is_waited_out_likewise() -> None:
    """It is not taken for a refusal of the group: the user is a member all the while."""
    ann = Device("ann")
    ann.connect()
    answer_sync(ann, {GID: 10})
    ann.grant()
    for wait in (60_000, None):
        request = ann.outgoing.pop()
        assert isinstance(request, SyncGroup)
        _refuse(ann, request.id, wait)
        ann.wait(60)
    ids = {request_id for _, request_id in _sends(ann, SyncGroup)}
    assert len(ids) == 1
    assert ann.heard == []
    ann.answer(Answer(re=ids.pop(), group=state(10)))
    assert [name for name, _ in ann.heard] == ["connected"]


def test_a_question_about_a_gap_is_waited_out_likewise() -> None:
    ann = _ann()
    ann.hear(Invited(iid="i2", n=3, p=2, by="bob", dev="b1", to=("ann",), ttl=30_000))
    ann.wait(1)
    sync = ann.take_sync()
    assert sync.only
    _refuse(ann, sync.id, 20_000)
    ann.wait(20)
    assert _sends(ann, Sync) == [(1, sync.id), (21, sync.id)]
