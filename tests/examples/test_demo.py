"""The demo: it tells what it should, and fails when something is not seen."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from examples import demo
from examples.call import Phone
from examples.classroom import Student
from examples.doorbell import HousePhone
from examples.group_call import GroupPhone
from examples.live_room import Listener
from examples.stage import OffScript, Stage
from tests.examples.cast import run

WHO = r"(?P<who>\(.*\)|front-door|alice|bob's phone|bob's tablet|bob|carol|tess|ann|ben|cleo|hana|leo|lou|dave)"
LINE = re.compile(rf" *\d+\.\d\d s  {WHO}( +(?P<what>.+))?")


def test_the_demo_tells_what_each_side_saw() -> None:
    played = run("examples.demo")
    assert (played.returncode, played.stderr) == (0, "")
    lines = played.stdout.splitlines()
    titles = [line for line in lines if re.match(r"\d\. ", line)]
    assert [title[:2] for title in titles] == [f"{number}." for number in range(1, 10)]
    told = [match for line in lines if (match := LINE.fullmatch(line))]
    assert len(told) == len([line for line in lines if line]) - len(titles) - 1  # nothing else but the summary
    seen = {(match["who"], match["what"]) for match in told}
    assert seen >= {
        ("bob's phone", "hangs up after 90 s"),
        ("alice", "hears that bob hung up after 90 s"),
        ("bob's tablet", "stops ringing: answered on another device"),
        ("carol", "hears that bob rejected: busy"),
        ("bob", "stops ringing: alice gave up"),
        ("bob", "stops ringing: missed a call of alice"),
        ("alice", "hears that bob did not answer"),
        ("alice", "stops ringing: carol answered"),
        ("carol", "stops ringing: bob answered"),
        ("(the doorbell is killed; its exit code is -9)", None),
        ("cleo", "listens to ben"),
        ("lou", "is taken off seat-2 by hana"),
        ("dave", "enters room r-9"),
    }
    summary = re.fullmatch(
        r"9 scenes, (\d+) lines seen where they should be, in ([\d.]+) s: all as it should be\.", lines[-1]
    )
    assert summary is not None
    assert int(summary[1]) == len([match for match in told if match["what"]])
    assert float(summary[2]) < 20


@pytest.mark.parametrize(
    ("broken", "method", "scenes"),
    [
        (HousePhone, "on_invitation_taken", "2"),
        (Phone, "on_invitation_cancelled", "1"),
        (Phone, "on_invitation_missed", "0"),
        (Student, "on_invitation_cancelled", "1"),
        (Listener, "on_invitee_accepted", "1"),
        (GroupPhone, "on_invitation_taken", "1"),
    ],
)
def test_the_demo_counts_what_goes_wrong(
    broken: type,
    method: str,
    scenes: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(broken, method, lambda _self, _event: None)
    assert demo.play(Stage(), tmp_path) == int(scenes)
    printed = capsys.readouterr().out
    assert printed.count("  WRONG    ") == int(scenes)
    assert ("all as it should be." in printed) is (scenes == "0")


def test_a_demo_that_fails_says_so_with_its_exit_code_and_its_log() -> None:
    spoiled = run("tests.examples.spoiled_demo")
    assert spoiled.returncode == 1
    assert "9 scenes" in spoiled.stdout.splitlines()[-1]
    assert spoiled.stdout.endswith("1 scenes went WRONG.\n")
    assert "is spoiled on purpose" in spoiled.stderr


def off_script(play: Callable[[Stage], None]) -> str:
    stage = Stage(patience=0.01)
    stage.scene("A scene.")
    with pytest.raises(OffScript) as wrong:
        play(stage)
    return str(wrong.value)


def test_a_line_that_does_not_come_is_missed() -> None:
    def play(stage: Stage) -> None:
        stage.actor("alice")
        stage.expect("alice", "rings")

    assert off_script(play) == "alice should have shown: rings"


def test_another_line_is_not_taken_for_it() -> None:
    def play(stage: Stage) -> None:
        show = stage.actor("alice")
        show("hangs up")
        stage.expect("alice", "rings")

    assert off_script(play) == "alice should have shown: rings; but showed: hangs up"


def test_a_line_too_many_is_noticed() -> None:
    def play(stage: Stage) -> None:
        show = stage.actor("alice")
        show("rings")
        show("rings")
        stage.expect("alice", "rings")
        stage.curtain()

    assert off_script(play) == "alice should have shown nothing more; but showed: rings"


def test_each_line_that_was_expected_counts() -> None:
    stage = Stage()
    show = stage.actor("alice")
    show("rings")
    show("stops")
    stage.expect("alice", "rings", "stops")
    stage.curtain()
    assert stage.seen == 2
