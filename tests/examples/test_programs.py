"""The examples as programs, each device a process."""

import signal
import sys

import pytest

from examples import call, classroom, doorbell, group_call, live_room, terminal
from ringline import RequestHandle, SignalingClient, SignalingError
from tests.examples.cast import ROOT, Program, run
from tests.support.bound import BOUND_S

GROUPS = ("examples.classroom", "examples.live_room", "examples.group_call")


def test_a_call_in_two_terminals(url: str) -> None:
    with (
        Program("examples.call", "--url", url, "callee", "bob") as bob,
        Program("examples.call", "--url", url, "callee", "carol") as carol,
    ):
        bob.expect("a = accept, h = hang up, q = quit")
        carol.expect("a = accept, h = hang up, q = quit")
        with Program("examples.call", "--url", url, "caller", "alice", "bob", "--room", "r-1") as alice:
            alice.expect("h = hang up, q = quit", "alice dials bob, room r-1", "alice hears it ring at bob's")
            bob.expect("bob rings: alice calls")
            bob.type("a")
            alice.expect("alice enters room r-1 with bob")
            bob.expect("bob enters room r-1 with alice")
            with Program("examples.call", "--url", url, "caller", "dave", "bob", "--room", "r-2") as dave:
                dave.expect("h = hang up, q = quit", "dave dials bob, room r-2", "dave hears that bob rejected: busy")
                dave.ends_with(0)
            bob.expect("bob rejects a call of dave: busy")
            alice.type("h")
            alice.expect(r"alice hangs up after \d+ s")
            alice.ends_with(0)
        bob.expect(r"bob hears that alice hung up after \d+ s")
        bob.type("q")
        bob.ends_with(0)
        carol.type("q")
        carol.ends_with(0)


def test_a_caller_who_quits_gives_up_first(url: str) -> None:
    with Program("examples.call", "--url", url, "callee", "bob") as bob:
        bob.expect("a = accept, h = hang up, q = quit")
        with Program("examples.call", "--url", url, "caller", "alice", "bob") as alice:
            alice.expect("h = hang up, q = quit", "alice dials bob, room [0-9a-f]{8}", "alice hears it ring at bob's")
            alice.type("q")
            assert alice.process.wait(BOUND_S) == 0
        bob.expect("bob rings: alice calls", "bob stops ringing: alice gave up")


def test_a_doorbell_that_is_killed(url: str) -> None:
    with (
        Program("examples.doorbell", "--url", url, "phone", "alice") as alice,
        Program("examples.doorbell", "--url", url, "phone", "bob") as bob,
        Program("examples.doorbell", "--url", url, "doorbell", "front", "alice", "bob") as front,
    ):
        for phone in (alice, bob):
            phone.expect("a = answer, r = reject, q = quit")
        front.expect("p = press, q = quit")
        front.type("p")
        front.expect("front rings alice, bob")
        front.process.kill()
        assert front.process.wait(BOUND_S) != 0
        alice.expect("alice rings: front")
        bob.expect("bob rings: front")
        bob.type("a")
        bob.expect("bob talks to front")
        alice.expect("alice stops ringing: bob answered")
        for phone in (alice, bob):
            phone.type("q")
            phone.ends_with(0)


def test_a_class_in_terminals(url: str) -> None:
    with (
        Program("examples.classroom", "--url", url, "student", "ann") as ann,
        Program("examples.classroom", "--url", url, "student", "ben") as ben,
    ):
        for student in (ann, ben):
            student.expect("r = raise a hand, n = nothing to say, s = speak, q = quit")
        with Program("examples.classroom", "--url", url, "teacher", "tess", "ann", "ben") as tess:
            tess.expect("a = ask, p = pick the first hand, e = end, q = quit", "tess opens the class for ann, ben")
            tess.type("a")
            tess.expect("tess asks who wants to speak")
            ann.expect("ann is asked by tess to raise a hand")
            ben.expect("ben is asked by tess to raise a hand")
            ann.type("r")
            tess.expect("tess sees the hand of ann")
            tess.type("p")
            tess.expect("tess invites ann to speak")
            ann.expect("ann raises a hand", "ann is invited to speak")
            ann.type("s")
            tess.expect("tess listens to ann")
            tess.type("q")
            assert tess.process.wait(BOUND_S) == 0
        ben.expect("ben sees the hand of ann", "ben listens to ann", "ben need not answer any more")
        ann.expect("ann speaks", "ann hears that the question is over")
        for student in (ann, ben):
            student.type("q")
            student.ends_with(0)


def test_a_live_room_in_terminals(url: str) -> None:
    with Program("examples.live_room", "--url", url, "host", "hana") as hana:
        hana.expect("l = let in who asks, .*, q = quit", "hana opens the room")
        with Program("examples.live_room", "--url", url, "listener", "leo") as leo:
            leo.expect("a = ask for seat-1, t = take the seat offered, l = leave the seat, q = quit", "leo comes in")
            hana.expect("hana sees leo come in")
            leo.type("a")
            leo.expect("leo asks for seat-1")
            hana.expect("hana hears that leo asks for seat-1")
            hana.type("l")
            hana.expect("hana sees leo on seat-1")
            leo.expect("leo sits on seat-1")
            leo.type("q")
            assert leo.process.wait(BOUND_S) == 0
        hana.expect("hana sees leo go", "hana sees seat-1 free")
        hana.type("q")
        hana.ends_with(0)


def test_a_group_call_in_terminals(url: str) -> None:
    with Program("examples.group_call", "--url", url, "ann", "ben") as ann:
        keys = "c = call, a = accept, r = reject, j = join late, l = let in, h = hang up, q = quit"
        ann.expect(keys, "ann makes the group of ann, ben")
        with Program("examples.group_call", "--url", url, "ben") as ben:
            ben.expect(keys)
            ann.type("c")
            ann.expect("ann calls ben, room [0-9a-f]{8}")
            ben.expect("ben sees ann in the call", "ben rings: ann calls")
            ben.type("a")
            ben.expect("ben enters room [0-9a-f]{8}")
            ann.expect("ann sees ann, ben in the call")
            ben.type("q")
            ben.expect("ben leaves room [0-9a-f]{8}")
            ben.ends_with(0)
        ann.expect("ann sees ann in the call")
        ann.type("h")
        ann.expect("ann leaves room [0-9a-f]{8}")
        ann.type("q")
        ann.ends_with(0)


def test_a_program_leaves_at_the_end_of_its_input(url: str) -> None:
    arguments = ("doorbell", "front", "alice", "--press", "--timeout", "1")
    with Program("examples.doorbell", "--url", url, *arguments) as front:
        front.expect("p = press, q = quit", "front rings alice", "front hears that nobody answers: timed_out")
        assert front.process.stdin is not None
        front.process.stdin.close()
        front.ends_with(0)


def test_ctrl_c_leaves_the_room_first(url: str) -> None:
    with (
        Program("examples.call", "--url", url, "callee", "bob") as bob,
        Program("examples.call", "--url", url, "callee", "carol") as idle,
    ):
        bob.expect("a = accept, h = hang up, q = quit")
        with Program("examples.call", "--url", url, "caller", "alice", "bob", "--room", "r-1") as alice:
            alice.expect("h = hang up, q = quit", "alice dials bob, room r-1", "alice hears it ring at bob's")
            bob.expect("bob rings: alice calls")
            bob.type("a")
            alice.expect("alice enters room r-1 with bob")
            bob.expect("bob enters room r-1 with alice")
            bob.process.send_signal(signal.SIGINT)
            bob.expect("", r"bob hangs up after \d+ s")
            bob.ends_with(0)
            alice.expect(r"alice hears that bob hung up after \d+ s")
            alice.ends_with(0)
        idle.expect("a = accept, h = hang up, q = quit")
        idle.process.send_signal(signal.SIGINT)
        idle.expect("")
        idle.ends_with(0)


def test_what_the_server_refuses_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = terminal.Terminal(SignalingClient("mqtt://127.0.0.1:1", user="alice"))
    refused = RequestHandle("an-id")
    refused.settle(None, SignalingError(8010, "invitation_over", "already settled: timed_out"))
    shown._do(lambda: refused)
    assert capsys.readouterr().err == "the server says: already settled: timed_out\n"


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (call.main, ("callee", "bob")),
        (doorbell.main, ("phone", "bob")),
        (classroom.main, ("student", "bob")),
        (live_room.main, ("listener", "bob")),
        (group_call.main, ("bob",)),
    ],
)
def test_without_a_server_a_program_says_what_it_lacks(
    main: object, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    monkeypatch.setattr(terminal, "CONNECT_WITHIN_S", 0.5)
    monkeypatch.setattr(sys, "argv", ["example", "--url", "mqtt://127.0.0.1:1", *arguments])
    assert main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("not connected: cannot reach 127.0.0.1:1: ")
    assert printed.err.endswith("gave up\n")


@pytest.mark.parametrize("module", ["examples.call", "examples.doorbell", *GROUPS])
def test_help_and_the_docstring_agree(module: str) -> None:
    helped = run(module, "--help")
    assert helped.returncode == 0
    assert f"python -m {module}" in helped.stdout
    assert f"    python -m {module} " in (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
