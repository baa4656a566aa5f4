"""Whatever is asked in whatever order at whatever time: what must always be so of an invitation and its log."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ringline.protocol.answers import Answer, decode_answer, encode_answer
from ringline.protocol.codec import pack
from ringline.protocol.events import decode_event, decode_events, event_map, join_events
from ringline.protocol.requests import REQUESTS, OnInvitation
from ringline_broker.engine.log import events_since, message_for, recipients_since, state_for
from ringline_broker.engine.model import Invitation, Part
from ringline_broker.engine.step import (
    Ask,
    Command,
    Deadline,
    Limits,
    NobodyOnline,
    Refused,
    role_of,
    standing_of,
    step,
)
from ringline_broker.engine.table import RULES
from tests.unit.engine.play import IID, NOW, accept, cancel, get, invite, modify, new_id, reject, ringing

USERS = ("ann", "bob", "cid", "dee", "zoe")
INVITEES = ("bob", "cid", "dee")
SOME = ((), ("bob",), ("cid",), ("bob", "cid"), *[("bob", "cid", "dee")] * 3, ("dee", "bob", "dee"))
LIMITS = Limits(invitees=3, record_bytes=4_000, quiet_limit_ms=60_000)



class _Choices:
    """Choices from one number: to draw one number a command is what makes this quick."""

    def __init__(self, number: int) -> None:
        self._number = number

    def of(self, *choices: Any) -> Any:
        self._number, index = divmod(self._number, len(choices))
        return choices[index]


def _command(number: int) -> tuple[int, Command]:
    """How much later, and what."""
    one = _Choices(number)
    later = one.of(*[0] * 9, 1, 400, 1_000, 30_000)
    kind = one.of(*["answer"] * 9, *["ann"] * 7, "anybody", "invite", "deadline", "nobody online")
    if kind == "deadline":
        return later, Deadline(IID)
    if kind == "nobody online":
        return later, NobodyOnline(IID)
    request_id = one.of(b"the same", new_id(), new_id(), new_id())
    user, request = one.of("ann", *USERS), _invite(one, request_id)
    if kind != "invite":
        dev, data = one.of("d1", "d2"), one.of(b"", b"x", bytes(500))
        answers = (accept(dev, id=request_id, data=data), reject(dev, id=request_id, data=data), ringing(dev))
        takes_back = cancel(*one.of(*SOME), dev=dev, id=request_id)
        changes = (takes_back, modify(data, dev, id=request_id), modify(data, dev, id=request_id), get(dev))
        match kind:
            case "answer":
                user, request = one.of(*INVITEES), one.of(*answers, *answers[:2])
            case "ann":
                user, request = "ann", one.of(*changes)
            case _:
                request = one.of(*answers, *changes)
    return later, Ask(user, request)


def _invite(one: _Choices, request_id: bytes) -> OnInvitation:
    return invite(
        *one.of(*SOME), id=request_id, dev=one.of("d1", "d2"), data=one.of(b"", b"x", bytes(500)),
        timeout=one.of(30, 30, 1, 0), answers=one.of(*[None] * 5, 0, 1, 2, 2), audience=one.of("", "", "parties"),
        online_only=one.of(*[False] * 4, True),
    )  # fmt: skip


_numbers = st.integers(0, 2**48)
_commands = _numbers.map(lambda number: _command(number)[1])


@dataclass(frozen=True)
class Happening:
    """One command, what it met and what it left."""

    command: Command
    at: int
    before: Invitation | None
    after: Invitation | None


def _history(numbers: list[int]) -> list[Happening]:
    """Mostly one that begins with an invitation by ann."""
    first = _Choices(numbers[0])
    begins = first.of(*[Ask("ann", _invite(first, new_id()))] * 7, _command(numbers[0])[1])
    at, standing = NOW, None
    history: list[Happening] = []
    for later, command in [(0, begins), *map(_command, numbers[1:])]:
        at += later
        after = step(standing, command, at, LIMITS).invitation
        history.append(Happening(command, at, standing, after))
        standing = after
    return history


_histories = st.lists(_numbers, min_size=1, max_size=14).map(_history)
always = settings(max_examples=100)


def _invitations(history: list[Happening]) -> Iterator[Invitation]:
    return (one.after for one in history if one.after is not None)


def _goes_on(one: Happening) -> bool:
    """Whether both are the same invitation: another user may invite under an id of which there is but a tombstone."""
    return one.before is not None and one.after is not None and one.before.inviter == one.after.inviter


@always
@given(_histories)
def test_versions_grow_by_one_an_event(history: list[Happening]) -> None:
    for one in history:
        if one.after is None:
            continue
        begin = 0 if one.before is None else one.before.n
        new = [event.n for event in one.after.events if event.n > begin]
        assert new == list(range(begin + 1, one.after.n + 1))
        if one.after is not one.before:
            assert new
        if _goes_on(one) and one.before is not None:
            assert [e.n for e in one.after.events][: len(one.before.events)] == [e.n for e in one.before.events]


@always
@given(_histories)
def test_every_recipient_s_events_form_a_chain_and_later_ones_are_its_end(history: list[Happening]) -> None:
    for invitation in _invitations(history):
        for user in USERS:
            chain = list(events_since(invitation, 0, user))
            before = 0
            for event, p in chain:
                assert p == before < event.n
                before = event.n
            for n in range(invitation.n + 2):
                assert list(events_since(invitation, n, user)) == [(event, p) for event, p in chain if event.n > n]


@always
@given(_histories)
def test_who_hears_everything_as_it_happens_never_sees_a_gap(history: list[Happening]) -> None:
    seen = dict.fromkeys(USERS, 0)
    for one in history:
        if one.after is None:
            continue
        begin = 0 if one.before is None else one.before.n
        told = recipients_since(one.after, begin)
        for user in USERS:
            news = list(events_since(one.after, begin, user))
            assert bool(news) == (user in told)
            for event, p in news:
                assert p <= seen[user] < event.n
                seen[user] = event.n


@always
@given(_histories)
def test_what_is_settled_stays_so_and_so_does_the_outcome(history: list[Happening]) -> None:
    for one in history:
        if not _goes_on(one) or one.before is None or one.after is None or one.before.is_tombstone:
            continue
        assert set(one.after.seats) == set(one.before.seats)
        for user, seat in one.before.seats.items():
            if seat.part is not Part.PENDING:
                assert one.after.seats[user] == seat
        if one.before.end is not None:
            assert one.after is one.before


@always
@given(_histories)
def test_it_is_over_when_nobody_is_pending_and_each_party_hears_so_once(history: list[Happening]) -> None:
    for invitation in _invitations(history):
        is_over = invitation.end is not None
        assert is_over == (not invitation.pending) == (invitation.due is None) == (invitation.ended is not None)
        if invitation.is_tombstone:
            continue
        for user in invitation.parties:
            heard = [event for event, _ in events_since(invitation, 0, user)]
            assert [event.end for event in heard if event.end] == ([invitation.end] if is_over else [])
            assert not is_over or heard[-1].end
        strangers = set(USERS) - set(invitation.parties)
        assert not any(list(events_since(invitation, 0, user)) for user in strangers)


@always
@given(_histories, _commands)
def test_nothing_changes_what_is_over(history: list[Happening], command: Command) -> None:
    for one in history:
        if one.after is not None and one.after.end is not None and not one.after.is_tombstone:
            assert step(one.after, command, one.at, LIMITS).invitation is one.after


@always
@given(_histories)
def test_a_step_is_a_function_and_leaves_its_argument_alone(history: list[Happening]) -> None:
    for one in history:
        kept = copy.deepcopy(one.before)
        once, twice = (step(one.before, one.command, one.at, LIMITS) for _ in range(2))
        assert once == twice
        assert once.invitation == one.after
        assert one.before == kept


@always
@given(_histories)
def test_a_refusal_changes_nothing_but_what_time_does(history: list[Happening]) -> None:
    for one in history:
        made = step(one.before, one.command, one.at, LIMITS)
        if isinstance(made.reply, Refused):
            assert made.invitation == step(one.before, Deadline(IID), one.at, LIMITS).invitation


@always
@given(_histories)
def test_every_request_done_is_repeated_by_its_copy(history: list[Happening]) -> None:
    for one in history:
        if one.after is one.before or not isinstance(one.command, Ask) or one.after is None:
            continue
        made = step(one.before, one.command, one.at, LIMITS)
        if not isinstance(made.reply, Refused):
            again = step(one.after, one.command, one.at, LIMITS)
            assert again.invitation is one.after
            assert type(again.reply) is type(made.reply)


@always
@given(_histories)
def test_an_event_is_what_the_wire_can_carry_and_its_state_too(history: list[Happening]) -> None:
    for one in history:
        if one.after is None:
            continue
        for user in one.after.parties:
            for event, p in events_since(one.after, 0, user):
                message = message_for(one.after, event, p, user, one.at)
                assert message.ev == event.ev
                [sent] = decode_events(join_events([pack(event_map(message))]))
                assert decode_event(sent) == message
            state = state_for(one.after, user, one.at, with_data=True)
            answer = Answer(re=b"12345678", state=state)
            assert decode_answer(encode_answer(answer)) == answer


@always
@given(_histories)
def test_there_is_a_rule_for_whatever_comes(history: list[Happening]) -> None:
    operations = {op for op, codec in REQUESTS.items() if issubclass(codec.message, OnInvitation)}
    for invitation in [None, *_invitations(history)]:
        for user, op in product(USERS, operations):
            assert (op, role_of(invitation, user), standing_of(invitation, user)) in RULES


@always
@given(_histories)
def test_a_record_grows_beyond_its_limit_only_by_answers_without_data(history: list[Happening]) -> None:
    for one in history:
        if one.after is one.before or one.after is None or one.after.size <= LIMITS.record_bytes:
            continue
        assert not isinstance(one.command, Ask) or not getattr(one.command.request, "data", b"")
        assert not isinstance(one.command, Ask) or one.command.request.op in ("accept", "reject", "cancel", "invite")
