"""The call in a group: every device is a real client of a real server."""

import queue

import pytest

from examples.group_call import GroupPhone, Running
from ringline import SignalingListener
from ringline.events import InviteeRejected
from tests.examples.cast import Cast
from tests.examples.test_live_room import first_reading
from tests.support.bound import BOUND_S


def friends(cast: Cast, *names: str) -> list[GroupPhone]:
    """A group of all of them; the first has made it."""
    first = cast.group_phone(names[0])
    first.found(names[1:])
    cast.expect(names[0], f"makes the group of {', '.join(names)}")
    return [first, *map(cast.group_phone, names[1:])]


def call(cast: Cast, ann: GroupPhone, *names: str) -> None:
    """Ann calls; it rings at all of theirs."""
    ann.start(names, "r-1")
    cast.expect("ann", f"calls {', '.join(names)}, room r-1")
    cast.expect_of(names, "sees ann in the call")
    cast.expect_of(names, "rings: ann calls")


def comes_in(cast: Cast, phone: GroupPhone, name: str, others: tuple[str, ...], callers: str) -> None:
    phone.accept()
    cast.expect(name, "enters room r-1")
    cast.expect_of(others, f"sees {callers} in the call")


def test_all_who_accept_are_in_one_room_and_the_last_who_leaves_ends_it(cast: Cast) -> None:
    ann, ben, cleo = friends(cast, "ann", "ben", "cleo")
    call(cast, ann, "ben", "cleo")
    comes_in(cast, cleo, "cleo", ("ann", "ben"), "ann, cleo")
    comes_in(cast, ben, "ben", ("ann", "cleo"), "ann, cleo, ben")
    assert {phone.room for phone in (ann, ben, cleo)} == {"r-1"}
    ann.leave()
    cast.expect("ann", "leaves room r-1")
    cast.expect_of(("ben", "cleo"), "sees cleo, ben in the call")
    ben.leave()
    cast.expect("ben", "leaves room r-1")
    cast.expect_of(("ann", "cleo"), "sees cleo in the call")
    cleo.leave()
    cast.expect("cleo", "leaves room r-1")
    cast.expect_of(("ann", "ben"), "sees that the call is over")
    assert {phone.room for phone in (ann, ben, cleo)} == {None}
    ben.leave()
    assert ann.ask_in() is None
    cast.expect("ann", "sees no call")


def test_who_comes_late_is_let_in_by_one_of_them(cast: Cast) -> None:
    ann, ben, dave = friends(cast, "ann", "ben", "dave")
    call(cast, ann, "ben", "dave")
    comes_in(cast, ben, "ben", ("ann", "dave"), "ann, ben")
    dave.reject()
    cast.expect("dave", "stops ringing: rejected")
    dave.ask_in()
    cast.expect("dave", "sees a call of ann, ben")
    cast.expect_of(("ann", "ben"), "hears dave knock")
    ann.let_in()
    cast.expect("ann", "lets dave in")
    cast.expect("ben", "hears that ann lets dave in")
    cast.expect("dave", "enters room r-1")
    cast.expect_of(("ann", "ben"), "sees ann, ben, dave in the call")
    assert ben.let_in() is None
    assert dave.room == "r-1"


def test_a_caller_who_left_the_group_is_not_asked(cast: Cast) -> None:
    ann, ben, dave = friends(cast, "ann", "ben", "dave")
    call(cast, ann, "ben")
    cast.expect("dave", "sees ann in the call")
    comes_in(cast, ben, "ben", ("ann", "dave"), "ann, ben")
    ben._client.groups.quit("friends").result(BOUND_S)
    dave.ask_in()
    cast.expect("dave", "sees a call of ann, ben")
    cast.expect("ann", "hears dave knock")
    ann.let_in()
    cast.expect("ann", "lets dave in")
    cast.expect("dave", "enters room r-1")
    cast.expect("ann", "sees ann, ben, dave in the call")


def test_of_two_who_start_a_call_at_once_one_finds_the_other(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, ben = friends(cast, "ann", "ben")
    readings = first_reading(ben._client, monkeypatch, lambda: ann.start(["ben"], "r-1"))
    ben.start(["ann"], "r-2")
    assert len(readings) == 2
    cast.expect("ann", "calls ben, room r-1")
    shown = {"sees ann in the call", "rings: ann calls", "finds a call that runs already"}
    for _ in range(3):
        shown.remove(cast.stage.next("ben"))
    ben.accept()
    cast.expect("ben", "enters room r-1")
    cast.expect("ann", "sees ann, ben in the call")


def test_nobody_comes(cast: Cast) -> None:
    ann, ben = friends(cast, "ann", "ben")
    ann.start(["ben"], "r-1", timeout=1)
    cast.expect("ann", "calls ben, room r-1")
    cast.expect("ben", "sees ann in the call", "rings: ann calls", "stops ringing: missed a call")
    cast.expect("ann", "hears that nobody comes")
    ann.leave()
    cast.expect("ann", "leaves room r-1")
    cast.expect("ben", "sees that the call is over")
    assert ben.accept() is None


def test_who_accepts_when_all_have_left_comes_too_late(cast: Cast) -> None:
    ann, ben = friends(cast, "ann", "ben")
    call(cast, ann, "ben")
    ann.leave()
    cast.expect("ann", "leaves room r-1")
    cast.expect("ben", "sees that the call is over")
    ben.accept()
    cast.expect("ben", "comes too late: the call is over")
    assert ben.room is None


def test_a_phone_in_a_call_is_busy_for_another(cast: Cast) -> None:
    ann, ben = friends(cast, "ann", "ben")
    call(cast, ann, "ben")
    comes_in(cast, ben, "ben", ("ann",), "ann, ben")
    rejected: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Hears(SignalingListener):
        def on_invitee_rejected(self, event: InviteeRejected) -> None:
            rejected.put(event.reason)

    ann._client.add_listener(Hears())
    ann._client.invite_in_group("friends", ["ben"], {"room": "r-2"}).result(BOUND_S)
    assert rejected.get(timeout=BOUND_S) == "busy"
    assert ben.room == "r-1"


def test_one_device_answers_and_the_other_stops(cast: Cast) -> None:
    ann, ben = friends(cast, "ann", "ben")
    cast.group_phone("ben", "tablet")
    call(cast, ann, "ben")
    cast.expect("tablet", "sees ann in the call", "rings: ann calls")
    ben.accept()
    cast.expect("ben", "enters room r-1")
    cast.expect("tablet", "stops ringing: answered on another device", "sees ann, ben in the call")
    cast.expect("ann", "sees ann, ben in the call")


def test_a_call_that_cannot_be_made_leaves_no_trace(cast: Cast) -> None:
    (ann,) = friends(cast, "ann")
    ann.start(["eve"], "r-1")
    cast.expect("ann", "calls eve, room r-1", "cannot call: not_members", "leaves room r-1")
    assert ann.look() is None
    cast.expect("ann", "sees no call")
    stranger = cast.group_phone("eve")
    stranger.start(["ann"], "r-2")
    cast.expect("eve", "cannot tell the group: group_not_permitted")
    stranger.found(["ann"])
    cast.expect("eve", "cannot make the group: group_exists")


@pytest.mark.parametrize(
    "attribute",
    [None, "r-1", {"room": 1, "callers": []}, {"room": "r", "callers": "ann"}, {"room": "r", "callers": [1]}, {}],
)
def test_what_others_wrote_may_be_no_call(attribute: object) -> None:
    assert Running.read({"call": attribute}) is None
