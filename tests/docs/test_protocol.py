"""docs/protocol.md says what the code does: its generated parts are up to date, and what they are made from is true."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ringline.protocol.limits import MAX_INVITEES
from ringline.protocol.requests import Accept, Cancel, Invite, OnInvitation, Reject
from ringline_broker.engine.model import Invitation, Part
from ringline_broker.engine.step import (
    Ask,
    Busy,
    Command,
    Deadline,
    Drop,
    NobodyOnline,
    role_of,
    standing_of,
    step,
)
from ringline_broker.engine.table import Role, Standing
from ringline_broker.settings import Settings
from tests.docs.exchange import BUDGET_BYTES, call, sizes
from tests.docs.generate import PAGE, SECTIONS, filled, names
from tests.docs.rules import edges
from tests.vectors.second_decoder import decode

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_generated_part_is_up_to_date(section: str) -> None:
    assert SECTIONS[section]() in TEXT, "run python -m tests.docs.generate"


def test_every_generated_part_stands_on_the_page_once_and_nothing_else_between_its_marks() -> None:
    assert sorted(names(TEXT)) == sorted(SECTIONS)
    assert filled(TEXT) == TEXT, "run python -m tests.docs.generate"


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", TEXT)
    }
    linked = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert linked
    assert set(linked) <= headings


def test_a_call_keeps_to_its_budget() -> None:
    six = call()[:6]
    assert [said.what for said in six] == ["invite", "invited", "invited", "accept", "accepted", "accepted"]
    assert [said.message.topic.rsplit("/", 2)[1] for said in six] == [
        "alice",
        "bobby",
        "alice",
        "bobby",
        "alice",
        "bobby",
    ]
    total = sum(sizes())
    sys.stdout.write(f"a call's six messages: {' + '.join(map(str, sizes()))} = {total} bytes of {BUDGET_BYTES}\n")
    assert total <= BUDGET_BYTES
    assert f"| **{total}** |" in TEXT


def test_the_calls_ids_are_those_of_the_budget() -> None:
    request, event = (decode(call()[at].message.payload) for at in (0, 1))
    assert (len(event[0]["by"]), len(request["to"][0])) == (5, 5)
    assert (len(request["dev"]), len(request["iid"])) == (8, 16)
    assert "data" not in request


def test_the_hex_on_the_page_is_the_whole_payload() -> None:
    blocks = re.findall(r"bytes:\n\n```text\n(.*?)\n```", TEXT, re.DOTALL)
    shown = [bytes.fromhex("".join(re.findall(r"(?m)^ *((?:[0-9a-f]{2} ?)+)(?: {2,}|$)", block))) for block in blocks]
    assert shown == list(dict.fromkeys(said.message.payload for said in call()))


def test_the_diagram_is_what_the_engine_does() -> None:
    assert set(edges()) == set(_explored())


def test_the_diagram_has_every_state() -> None:
    assert {after for _, after in edges()} == {"tombstone", *Part} - {Part.BLOCKED}


def test_who_does_not_let_the_inviter_ring_has_no_state_and_is_a_stranger() -> None:
    assert Part.BLOCKED not in {standing.value for standing in Standing}
    busy = (Busy("bob", "a mask", bytes(8)),)
    made = step(None, Ask("ann", _request(Invite, to=("bob", "cat")), busy), 0).invitation
    assert made is not None
    assert (role_of(made, "bob"), standing_of(made, "bob")) == (Role.STRANGER, Standing.OPEN)
    assert (role_of(made, "cat"), standing_of(made, "cat")) == (Role.INVITEE, Standing.PENDING)


def _explored() -> Iterator[tuple[str, str]]:
    """Every step of an invitee from one state to the next that the engine takes, from nothing on."""
    waiting: list[Invitation | None] = [None]
    seen: list[Invitation] = []
    while waiting:
        before = waiting.pop()
        for command, at_ms in _commands():
            after = step(before, command, at_ms).invitation
            if after is None or after is before:
                continue
            yield from _changes(before, after)
            if not any(_alike(after, other) for other in seen):
                seen.append(after)
                waiting.append(after)


def _alike(one: Invitation, other: Invitation) -> bool:
    return (one.inviter, one.seats, one.timeout, one.answers, one.is_tombstone) == (
        other.inviter, other.seats, other.timeout, other.answers, other.is_tombstone
    )  # fmt: skip


def _changes(before: Invitation | None, after: Invitation) -> Iterator[tuple[str, str]]:
    start = "[*]" if before is None else "tombstone"
    if after.is_tombstone:
        yield start, "tombstone"
    for user, seat in after.seats.items():
        was = start if before is None or before.is_tombstone else before.seats[user].part
        if was != seat.part:
            yield was, seat.part


def _commands() -> Iterator[tuple[Command, int]]:
    """Everything that anybody may ask, each with when."""
    for answers in (None, 0, 1):
        for timeout in (0, 30):
            for user in ("ann", "eve"):
                yield Ask(user, _request(Invite, to=("bob", "cat"), answers=answers, timeout=timeout)), 0
    for user in ("ann", "bob", "cat", "eve"):
        yield Ask(user, _request(Accept)), 0
        yield Ask(user, _request(Reject)), 0
        yield Ask(user, _request(Cancel)), 0
        yield Ask(user, _request(Cancel, to=("cat",))), 0
    yield NobodyOnline("i1"), 0
    for users in (None, ("ann",), ("bob",)):
        yield Drop("i1", users, "left"), 0
    yield Deadline("i1"), 60_000
    yield Deadline("i1"), 100_000_000


_numbers = iter(range(1_000_000))


def _request(kind: type[OnInvitation], **fields: Any) -> OnInvitation:
    return kind(id=next(_numbers).to_bytes(8, "big"), dev="d1", iid="i1", **fields)


def test_a_server_may_not_allow_more_invitees_than_a_message_can_name() -> None:
    assert Settings(max_invitees=MAX_INVITEES).max_invitees == MAX_INVITEES
    with pytest.raises(ValueError, match="max_invitees"):
        Settings(max_invitees=MAX_INVITEES + 1)
