"""The live room: every device is a real client of a real server."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.attributes import change_attributes
from examples.live_room import Host, Listener
from ringline import SignalingClient, SignalingError
from tests.examples.cast import Cast
from tests.support.bound import BOUND_S


def room(cast: Cast, *names: str) -> tuple[Host, list[Listener]]:
    """A room with listeners in it."""
    host = cast.host("hana")
    host.open()
    cast.expect("hana", "opens the room")
    return host, [come_in(cast, name) for name in names]


def come_in(cast: Cast, name: str) -> Listener:
    listener = cast.listener(name)
    listener.enter()
    cast.expect(name, "comes in")
    cast.expect("hana", f"sees {name} come in")
    return listener


def sits(cast: Cast, listener: Listener, name: str, seat: str, others: tuple[str, ...]) -> None:
    listener.sit(seat)
    cast.expect(name, f"sits on {seat}")
    cast.expect_of(others, f"sees {name} on {seat}")


def first_reading(client: SignalingClient, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> list[object]:
    """Let something happen between the client's first reading of the attributes and its writing; all its readings."""
    readings: list[object] = []
    info = client.groups.info

    def read(group_id: str) -> Any:
        handle = info(group_id)
        readings.append(handle.result(BOUND_S))
        if len(readings) == 1:
            then()
        return handle

    monkeypatch.setattr(client.groups, "info", read)
    return readings


def test_a_seat_that_is_asked_for(cast: Cast) -> None:
    host, (leo, lou) = room(cast, "leo", "lou")
    leo.ask("seat-1")
    cast.expect("leo", "asks for seat-1")
    cast.expect("hana", "hears that leo asks for seat-1")
    assert host.asking == ("leo",)
    assert lou.take_offer() is None, "took what others ask for as an offer"
    host.let_in()
    cast.expect("leo", "sits on seat-1")
    cast.expect_of(("hana", "lou"), "sees leo on seat-1")
    assert host.seats == leo.seats == lou.seats == {"seat-1": "leo"}
    lou.ask("seat-1")
    cast.expect("lou", "asks for seat-1")
    cast.expect("hana", "hears that lou asks for seat-1")
    host.let_in()
    cast.expect("lou", "finds seat-1 taken")


def test_a_seat_that_may_not_be_had(cast: Cast) -> None:
    host, (leo,) = room(cast, "leo")
    leo.ask("seat-2")
    cast.expect("leo", "asks for seat-2")
    cast.expect("hana", "hears that leo asks for seat-2")
    host.turn_down()
    cast.expect("leo", "may not have seat-2")
    assert host.seats == {}


def test_a_seat_that_is_offered(cast: Cast) -> None:
    host, (leo, lou) = room(cast, "leo", "lou")
    host.offer()
    cast.expect("hana", "offers seat-1 to leo")
    cast.expect("leo", "is offered seat-1")
    leo.decline_offer()
    cast.expect("hana", "hears that leo would rather listen")
    host.offer("lou", timeout=1)
    cast.expect("hana", "offers seat-1 to lou")
    cast.expect("lou", "is offered seat-1")
    cast.expect("hana", "hears nothing of lou")
    host.offer("lou")
    cast.expect("hana", "offers seat-1 to lou")
    cast.expect("lou", "is offered seat-1")
    lou.take_offer()
    cast.expect("lou", "sits on seat-1")
    cast.expect_of(("hana", "leo"), "sees lou on seat-1")
    host.offer()
    cast.expect("hana", "offers seat-2 to leo")
    cast.expect("leo", "is offered seat-2")


def test_leaving_and_being_taken_off(cast: Cast) -> None:
    host, (leo, lou) = room(cast, "leo", "lou")
    sits(cast, leo, "leo", "seat-1", ("hana", "lou"))
    sits(cast, lou, "lou", "seat-2", ("hana", "leo"))
    assert host.offer("ida") is None, "offered a seat where none is free"
    leo.leave()
    cast.expect("leo", "leaves seat-1")
    cast.expect_of(("hana", "lou"), "sees seat-1 free")
    leo.leave()
    cast.expect("leo", "sits nowhere")
    host.clear()
    cast.expect("lou", "is taken off seat-2 by hana")
    cast.expect_of(("hana", "leo"), "sees seat-2 free")
    host.clear("seat-2")
    cast.expect("hana", "finds that seat free")


def test_of_two_who_sit_down_at_once_one_gets_the_seat(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    host, (leo, lou) = room(cast, "leo", "lou")
    readings = first_reading(leo._client, monkeypatch, lambda: lou.sit("seat-1"))
    leo.sit("seat-1")
    assert len(readings) == 2, "did not read again"
    cast.expect("lou", "sits on seat-1")
    cast.expect("hana", "sees lou on seat-1")
    shown = {"finds seat-1 taken", "sees lou on seat-1"}  # one by the button, one by the callback
    for _ in range(2):
        shown.remove(cast.stage.next("leo"))
    assert host.seats == {"seat-1": "lou"}


def test_who_sits_down_while_another_does_elsewhere_reads_again_and_sits(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (leo, lou) = room(cast, "leo", "lou")
    readings = first_reading(leo._client, monkeypatch, lambda: lou.sit("seat-2"))
    leo.sit("seat-1")
    assert len(readings) == 2
    cast.expect("lou", "sits on seat-2", "sees leo on seat-1")
    cast.expect("hana", "sees lou on seat-2", "sees leo on seat-1")
    cast.expect("leo", "sees lou on seat-2", "sits on seat-1")


def test_nobody_sits_on_two_seats(cast: Cast) -> None:
    _, (leo,) = room(cast, "leo")
    sits(cast, leo, "leo", "seat-1", ("hana",))
    leo.sit("seat-2")
    cast.expect("leo", "finds seat-2 taken")
    assert leo.seats == {"seat-1": "leo"}


def test_who_comes_late_sees_who_sits_where(cast: Cast) -> None:
    _, (leo,) = room(cast, "leo")
    sits(cast, leo, "leo", "seat-1", ("hana",))
    lou = cast.listener("lou")
    lou.enter()
    cast.expect("lou", "comes in", "sees leo on seat-1")
    cast.expect("hana", "sees lou come in")


def test_who_goes_leaves_the_seat(cast: Cast) -> None:
    _, (leo, _) = room(cast, "leo", "lou")
    sits(cast, leo, "leo", "seat-1", ("hana", "lou"))
    leo.go().result(BOUND_S)
    cast.expect("hana", "sees leo go", "sees seat-1 free")
    cast.expect("lou", "sees seat-1 free")


def test_an_offer_accepted_on_one_device_seats_it_once(cast: Cast) -> None:
    host, (leo,) = room(cast, "leo")
    tablet = cast.listener("leo", "tablet")
    tablet.enter()
    cast.expect("tablet", "comes in")
    host.offer("leo")
    cast.expect("hana", "offers seat-1 to leo")
    cast.expect_of(("leo", "tablet"), "is offered seat-1")
    leo.take_offer()
    cast.expect_of(("leo", "tablet"), "sits on seat-1")
    cast.expect("hana", "sees leo on seat-1")


def test_what_cannot_be_done_is_said(cast: Cast) -> None:
    leo = cast.listener("leo")
    leo.enter()
    cast.expect("leo", "cannot come in: unknown_group")
    assert leo.ask("seat-1") is None
    leo.sit("seat-1")
    cast.expect("leo", "cannot change the seats: unknown_group")
    room(cast)
    cast.host("hugo").open()
    cast.expect("hugo", "cannot open the room: group_exists")


def test_a_host_who_comes_back_sees_the_seats(cast: Cast) -> None:
    _, (leo,) = room(cast, "leo")
    sits(cast, leo, "leo", "seat-1", ("hana",))
    again = cast.host("hana", "hana's tablet")
    again.open()
    cast.expect("hana's tablet", "opens the room", "sees leo on seat-1")


def test_a_change_that_is_refused_for_another_reason_is_not_tried_again(cast: Cast) -> None:
    room(cast)
    stranger = cast.client("eve")
    cast.connect(stranger)
    with pytest.raises(SignalingError, match="10007"):
        change_attributes(stranger, "room", lambda _seats: {"seat-1": "eve"})
