"""50,000 inputs, the same in every run; `make fuzz` feeds a million others."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.inputs import CHUNK, Door, Inputs
from tests.fuzz.packets import is_whole
from tests.fuzz.payloads import Payloads
from tests.fuzz.run import Plan, fuzz
from tests.fuzz.server import Found

SEED = 5
FREE, LIMITED = 23_008, 3_984
"""Inputs of each part: two without limits in their way, and one with the defaults."""


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints on the terminal, whoever captures the output."""

    def say(text: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"\nfuzz: {text}")
            sys.stderr.flush()

    return say


@pytest.mark.xdist_group("heavy")
@pytest.mark.parametrize(
    "plan",
    [Plan(SEED, 0, FREE), Plan(SEED, FREE, FREE), Plan(SEED, 2 * FREE, LIMITED, defaults=True)],
    ids=["first", "second", "defaults"],
)
def test_nothing_a_stranger_or_a_user_sends_harms_anybody(
    plan: Plan, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    fuzz(plan, tmp_path, tell)


def test_a_server_that_fails_is_found_and_the_input_named(tmp_path: Path) -> None:
    with pytest.raises(Found) as found:
        fuzz(Plan(SEED, 0, 20_000, fault="crash"), tmp_path, print)
    assert "broken on purpose" in str(found.value)
    assert f"--seed {SEED} --only " in str(found.value)
    assert "4002" in str(found.value), "the hex of a PUBACK"


def test_a_server_that_keeps_connections_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.run.GONE_S", 1.0)
    with pytest.raises(Found, match="everybody left, and there is still"):
        fuzz(Plan(SEED, 0, 400, fault="leak"), tmp_path, print)


def test_a_server_that_grows_is_found(tmp_path: Path) -> None:
    with pytest.raises(Found, match="its memory grew from"):
        fuzz(Plan(SEED, 0, 2_000, fault="hoard"), tmp_path, print)


def test_an_input_is_the_same_whenever_it_is_made() -> None:
    one, other = Inputs(SEED), Inputs(SEED)
    chunks = [one.chunk(index) for index in range(200)]
    assert [other.chunk(index) for index in reversed(range(200))] == chunks[::-1]
    assert {one.door for chunk in chunks for one in chunk} == set(Door)
    assert all(len({one.door for one in chunk}) == len({one.user for one in chunk}) == 1 for chunk in chunks)
    assert len({one.data for chunk in chunks for one in chunk}) > 200 * CHUNK * 0.8
    assert Inputs(SEED + 1).chunk(0) != chunks[0]


def test_requests_of_every_operation_are_made() -> None:
    inputs = Inputs(SEED)
    assert isinstance(inputs._payloads, Payloads)
    known = {"invite", "accept", "sync", "group_create", "group_count", "block", "unblock", "blocked"}
    assert known <= set(inputs._payloads._operations)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", True), (b"\xc0\x00", True), (b"\xc0", False), (b"\x30\x03abc", True), (b"\x30\x03ab", False),
        (b"\x30\x03abc\xc0\x00", True), (b"\x30\x80", False), (b"\x30\x80\x80\x80\x80\x01", False),
    ],
)  # fmt: skip
def test_where_a_packet_ends_is_known(data: bytes, whole: bool) -> None:
    assert is_whole(data) is whole
