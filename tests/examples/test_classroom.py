"""The class: every device is a real client of a real server."""

import pytest

from examples.classroom import Student, Teacher
from ringline import SignalingError
from tests.examples.cast import Cast
from tests.support.bound import BOUND_S

STUDENTS = ("ann", "ben", "cleo")


def lesson(cast: Cast, students: tuple[str, ...] = STUDENTS, timeout: int = 60) -> tuple[Teacher, dict[str, Student]]:
    """A class that has been asked."""
    teacher, pupils = cast.teacher("tess"), {name: cast.student(name) for name in students}
    teacher.open(students)
    asked = teacher.ask(timeout)
    assert asked is not None
    asked.result(BOUND_S)
    cast.expect("tess", f"opens the class for {', '.join(students)}", "asks who wants to speak")
    cast.expect_of(students, "is asked by tess to raise a hand")
    return teacher, pupils


def raises(cast: Cast, name: str, pupils: dict[str, Student]) -> None:
    pupils[name].raise_hand()
    cast.expect(name, "raises a hand")
    cast.expect_of(["tess", *(one for one in pupils if one != name)], f"sees the hand of {name}")


def test_the_six_steps(cast: Cast) -> None:
    teacher, pupils = lesson(cast)
    raises(cast, "ann", pupils)
    raises(cast, "ben", pupils)
    assert list(teacher.hands) == ["ann", "ben"]
    teacher.pick("ben")
    cast.expect("tess", "invites ben to speak")
    cast.expect("ben", "is invited to speak")
    assert list(teacher.hands) == ["ann"]
    assert pupils["ann"].speak() is None, "took the floor of another"
    pupils["ben"].speak()
    cast.expect("ben", "speaks")
    cast.expect_of(("tess", "ann", "cleo"), "listens to ben")
    teacher.end()
    cast.expect("tess", "asks no longer")
    cast.expect("cleo", "need not answer any more")
    cast.expect_of(("ann", "ben"), "hears that the question is over")
    assert pupils["cleo"].raise_hand() is None


def test_a_hand_stays_down_and_when_all_have_answered_it_is_over(cast: Cast) -> None:
    teacher, pupils = lesson(cast, ("ann", "ben"))
    pupils["ann"].keep_down()
    cast.expect("ann", "has nothing to say")
    cast.expect("tess", "sees that ann has nothing to say")
    raises(cast, "ben", pupils)
    cast.expect("tess", "asks no longer")
    cast.expect_of(("ann", "ben"), "hears that the question is over")
    assert teacher.end() is None
    assert teacher.pick("ann") is None
    teacher.pick()
    cast.expect("tess", "invites ben to speak")
    cast.expect("ben", "is invited to speak")
    pupils["ben"].stay_silent()
    cast.expect("ben", "would rather not speak")
    cast.expect("tess", "hears that ben would rather not")


def test_who_does_not_raise_a_hand_in_time(cast: Cast) -> None:
    lesson(cast, ("ann", "ben"), timeout=1)
    cast.expect_of(("ann", "ben"), "did not raise a hand in time")
    cast.expect("tess", "asks no longer")


def test_a_floor_that_nobody_takes(cast: Cast) -> None:
    teacher, pupils = lesson(cast, ("ann", "ben"))
    raises(cast, "ann", pupils)
    teacher.pick(timeout=1)
    cast.expect("tess", "invites ann to speak")
    cast.expect("ann", "is invited to speak")
    cast.expect("tess", "hears nothing of ann")
    cast.expect("ann", "has not taken the floor")
    assert pupils["ann"].speak() is None


def test_one_question_at_a_time_and_a_new_one_forgets_the_hands(cast: Cast) -> None:
    teacher, pupils = lesson(cast, ("ann", "ben"))
    assert teacher.ask() is None
    raises(cast, "ann", pupils)
    teacher.end()
    cast.expect("tess", "asks no longer")
    cast.expect("ann", "hears that the question is over")
    cast.expect("ben", "need not answer any more")
    teacher.ask()
    cast.expect("tess", "asks who wants to speak")
    cast.expect_of(("ann", "ben"), "is asked by tess to raise a hand")
    assert teacher.hands == ()


def test_a_student_with_two_devices_raises_one_hand(cast: Cast) -> None:
    tablet = cast.student("ann", "tablet")
    _, pupils = lesson(cast, ("ann", "ben"))
    cast.expect("tablet", "is asked by tess to raise a hand")
    raises(cast, "ann", pupils)
    cast.expect("tablet", "raises a hand")
    again = tablet.raise_hand()
    assert again is not None
    with pytest.raises(SignalingError, match="8010"):
        again.result(BOUND_S)


def test_who_comes_late_is_asked_too(cast: Cast) -> None:
    teacher = cast.teacher("tess")
    teacher.open(["ann"])
    teacher.ask()
    cast.expect("tess", "opens the class for ann", "asks who wants to speak")
    ann = cast.student("ann")
    cast.expect("ann", "is asked by tess to raise a hand")
    ann.raise_hand()
    cast.expect("ann", "raises a hand", "hears that the question is over")
    cast.expect("tess", "sees the hand of ann", "asks no longer")


def test_a_student_who_leaves_the_class_need_not_answer(cast: Cast) -> None:
    leaver = cast.client("cleo")
    cast.connect(leaver)
    _, pupils = lesson_without_device(cast)
    leaver.groups.quit("class").result(BOUND_S)
    cast.expect("tess", "sees that cleo left the class")
    raises(cast, "ann", pupils)
    cast.expect("tess", "asks no longer")
    cast.expect("ann", "hears that the question is over")


def lesson_without_device(cast: Cast) -> tuple[Teacher, dict[str, Student]]:
    """Cleo is in it, and only Ann has a device of this program."""
    teacher, pupils = cast.teacher("tess"), {"ann": cast.student("ann")}
    teacher.open(["ann", "cleo"])
    asked = teacher.ask()
    assert asked is not None
    asked.result(BOUND_S)
    cast.expect("tess", "opens the class for ann, cleo", "asks who wants to speak")
    cast.expect("ann", "is asked by tess to raise a hand")
    return teacher, pupils


def test_a_class_that_cannot_be_made(cast: Cast) -> None:
    lesson(cast, ("ann",))
    cast.teacher("trudy").open(["ann"])
    cast.expect("trudy", "cannot open the class: group_exists")


def test_other_invitations_are_no_business_of_the_class(cast: Cast) -> None:
    _, pupils = lesson(cast, ("ann",))
    client = cast.client("bob")
    cast.connect(client)
    handle = client.invite(["ann"], {"class": "raise hands"})
    handle.result(BOUND_S)
    raises(cast, "ann", pupils)
    cast.expect("ann", "hears that the question is over")
    cast.expect("tess", "asks no longer")
    assert client.state(handle.invite_id).invitees == {"ann": "pending"}
