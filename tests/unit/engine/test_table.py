"""Every operation by every role in every state, against the transition table; and the table against one by hand."""

from collections.abc import Callable

import pytest

from ringline.protocol.requests import REQUESTS, OnInvitation
from ringline_broker.engine.model import Part
from ringline_broker.engine.step import Done, Drop, Forward, Refused, Show, Silence, role_of, standing_of
from ringline_broker.engine.table import RULES, TRIGGERS, Act, Role, Rule, Standing
from tests.unit.engine.play import (
    IID,
    Play,
    accept,
    cancel,
    get,
    invite,
    modify,
    reject,
    ringing,
    rung,
)

# By hand, from the design. u: 8010 unknown_invitation, o: 8010 invitation_over, p: 8011 not_permitted,
# x: 8012 already_exists, -: no effect and no answer.
COLUMNS = (
    "stranger none tombstone open over",
    "inviter tombstone open over",
    "invitee pending accepted rejected taken cancelled timed_out expired offline dropped notified",
)
BY_HAND = {
    "invite": ("create create x x", "o x x", "x x x x x x x x x x"),
    "ringing": ("- - - -", "- - -", "forward - - - - - - - - -"),
    "accept": ("u u p p", "o p p", "accepted o o o o o o o o o"),
    "reject": ("u u p p", "o p p", "rejected o o o o o o o o o"),
    "cancel": ("bury u p p", "bury cancelled o", "p p p p p p p p p p"),
    "modify": ("u u p p", "o data o", "p p p p p p p p p p"),
    "get": ("u u p p", "show show show", "show show show show show show show show show show"),
}
NAMES = {"u": "unknown_invitation", "o": "invitation_over", "p": "not_permitted", "x": "already_exists"}
CODES = {"unknown_invitation": 8010, "invitation_over": 8010, "not_permitted": 8011, "already_exists": 8012}
WORDS = {
    Act.CREATE: "create", Act.BURY: "bury", Act.REPLACE_DATA: "data", Act.FORWARD: "forward",
    Act.IGNORE: "-", Act.SHOW: "show",
}  # fmt: skip


def _word(rule: Rule) -> str:
    if rule.refusal is not None:
        return next(letter for letter, name in NAMES.items() if name == rule.refusal.name)
    return WORDS.get(rule.act, str(rule.becomes)) if rule.act is not None else "?"


def test_the_table_says_what_the_one_by_hand_says() -> None:
    by_hand = {
        (op, Role(columns.split()[0]), Standing(standing)): word
        for op, rows in BY_HAND.items()
        for columns, row in zip(COLUMNS, rows, strict=True)
        for standing, word in zip(columns.split()[1:], row.split(), strict=True)
    }
    assert {key: _word(rule) for key, rule in RULES.items()} == by_hand


def test_the_refusals_have_the_numbers_of_tencent() -> None:
    assert {rule.refusal.name: rule.refusal.code for rule in RULES.values() if rule.refusal} == CODES


def test_every_operation_on_an_invitation_meets_a_rule_wherever_it_comes() -> None:
    operations = {op for op, codec in REQUESTS.items() if issubclass(codec.message, OnInvitation)}
    met = {(role, standing) for _, role, standing in RULES}
    assert set(RULES) == {(op, role, standing) for op in operations for role, standing in met}
    assert {(role_of(play.invitation, user), standing_of(play.invitation, user)) for play, user in _settings()} == met


# How each standing comes about, by real steps; where an invitee is settled, once while the invitation is still open
# and once when it is over, as far as both can be.

OPEN, OVER = False, True
FOUND = {
    **dict.fromkeys((Standing.NONE, Standing.TOMBSTONE, Standing.OPEN, Standing.PENDING), (OPEN,)),
    **dict.fromkeys((Standing.ACCEPTED, Standing.REJECTED, Standing.CANCELLED, Standing.DROPPED), (OPEN, OVER)),
    **dict.fromkeys((Standing.OVER, Standing.TAKEN, Standing.TIMED_OUT, Standing.EXPIRED), (OVER,)),
    **dict.fromkeys((Standing.OFFLINE, Standing.NOTIFIED), (OVER,)),
}


def _setting(role: Role, standing: Standing, over: bool) -> tuple[Play, str]:
    """The invitation and the caller."""
    if role is Role.INVITEE:
        play = SETTLINGS[standing]()
        if over and play.outcome() is None:
            play.ask("cid", reject())
        assert (play.outcome() is not None) == over
        return play, "bob"
    play = Play()
    if standing is Standing.TOMBSTONE:
        play.ask("ann", cancel())
    elif standing is not Standing.NONE:
        play = rung("bob", "cid", data=b"first")
        if over:
            play.ask("ann", cancel())
    return play, "ann" if role is Role.INVITER else "zoe"


def _accepted() -> Play:
    play = rung("bob", "cid")
    play.ask("bob", accept())
    return play


def _rejected() -> Play:
    play = rung("bob", "cid")
    play.ask("bob", reject())
    return play


def _taken() -> Play:
    play = rung("bob", "cid", answers=1)
    play.ask("cid", accept())
    return play


def _cancelled() -> Play:
    play = rung("bob", "cid")
    play.ask("ann", cancel("bob"))
    return play


def _timed_out() -> Play:
    play = rung("bob", "cid")
    play.deadline()
    return play


def _expired() -> Play:
    play = rung("bob", "cid", timeout=0)
    play.deadline()
    return play


def _offline() -> Play:
    play = rung("bob", "cid", online_only=True)
    play.nobody_online()
    return play


def _dropped() -> Play:
    play = rung("bob", "cid", gid="g")
    play.do(Drop(IID, ("bob",), "left"))
    return play


SETTLINGS: dict[Standing, Callable[[], Play]] = {
    Standing.PENDING: lambda: rung("bob", "cid", data=b"first"),
    Standing.ACCEPTED: _accepted,
    Standing.REJECTED: _rejected,
    Standing.TAKEN: _taken,
    Standing.CANCELLED: _cancelled,
    Standing.TIMED_OUT: _timed_out,
    Standing.EXPIRED: _expired,
    Standing.OFFLINE: _offline,
    Standing.DROPPED: _dropped,
    Standing.NOTIFIED: lambda: rung("bob", "cid", answers=0),
}

# Asked from a device that did nothing before, so that nothing is a repeat.
REQUEST: dict[str, Callable[[], OnInvitation]] = {
    "invite": lambda: invite("yve", dev="d9", data=b"another"),
    "ringing": lambda: ringing("d9"),
    "accept": lambda: accept("d9", data=b"yes"),
    "reject": lambda: reject("d9", data=b"no"),
    "cancel": lambda: cancel(dev="d9"),
    "modify": lambda: modify(b"second", dev="d9"),
    "get": lambda: get("d9"),
}


def _settings() -> list[tuple[Play, str]]:
    met = {(role, standing) for _, role, standing in RULES}
    return [_setting(role, standing, over) for role, standing in met for over in FOUND[standing]]


CASES = [
    pytest.param(op, role, standing, over, id=f"{op}-{role}-{standing}-{'over' if over else 'open'}")
    for op, role, standing in RULES
    for over in FOUND[standing]
]


def test_the_cases_are_every_row_and_more() -> None:
    assert {case.values[:3] for case in CASES} == set(RULES)
    assert len(CASES) == 7 * (4 + 3 + 14)  # accepted, rejected, cancelled and dropped invitees are found open and over


@pytest.mark.parametrize(("op", "role", "standing", "over"), CASES)
def test_an_operation_does_what_the_table_says(op: str, role: Role, standing: Standing, over: bool) -> None:
    play, user = _setting(role, standing, over)
    before, rule = play.invitation, RULES[op, role, standing]
    assert (role_of(before, user), standing_of(before, user)) == (role, standing)

    reply = play.ask(user, REQUEST[op]())

    if rule.refusal is not None:
        assert isinstance(reply, Refused)
        assert reply.code is rule.refusal
        assert play.invitation is before
        assert (reply.state is not None) == (role is not Role.STRANGER)
        return
    assert rule.act is not None
    EFFECTS[rule.act](play, user, rule)
    if rule.act in (Act.FORWARD, Act.IGNORE, Act.SHOW):
        assert play.invitation is before


def _created(play: Play, user: str, rule: Rule) -> None:
    assert play.reply == Done()
    assert play.it.inviter == user
    assert play.parts() == {"yve": rule.becomes}
    assert [event.ev for event in play.it.events] == ["invited"]


def _buried(play: Play, user: str, _rule: Rule) -> None:
    assert isinstance(play.reply, Done)
    assert play.it.is_tombstone
    assert (play.it.inviter, play.it.end, play.it.n) == (user, "cancelled", 1)


def _settled_self(play: Play, user: str, rule: Rule) -> None:
    assert play.reply == Done()
    assert play.parts() == {"bob": rule.becomes, "cid": "pending"}
    assert play.it.seats[user].device == "d9"


def _settled_others(play: Play, _user: str, rule: Rule) -> None:
    assert play.reply == Done()
    assert play.parts() == {"bob": rule.becomes, "cid": rule.becomes}


def _replaced(play: Play, _user: str, _rule: Rule) -> None:
    assert play.reply == Done()
    assert play.it.data == b"second"


def _forwarded(play: Play, _user: str, _rule: Rule) -> None:
    assert play.reply == Forward()


def _ignored(play: Play, _user: str, _rule: Rule) -> None:
    assert play.reply == Silence()


def _shown(play: Play, _user: str, _rule: Rule) -> None:
    assert isinstance(play.reply, Show)
    assert (play.reply.state.iid, play.reply.state.n, play.reply.state.end) == (IID, play.it.n, play.it.end)


EFFECTS: dict[Act, Callable[[Play, str, Rule], None]] = {
    Act.CREATE: _created,
    Act.BURY: _buried,
    Act.SETTLE_SELF: _settled_self,
    Act.SETTLE_OTHERS: _settled_others,
    Act.REPLACE_DATA: _replaced,
    Act.FORWARD: _forwarded,
    Act.IGNORE: _ignored,
    Act.SHOW: _shown,
}


@pytest.mark.parametrize(
    ("trigger", "makes"),
    [
        ("enough accepted", _taken),
        ("deadline", _timed_out),
        ("quiet limit", _expired),
        ("nobody online", _offline),
        ("left the group", _dropped),
    ],
)
def test_the_extension_settles_the_pending_as_its_triggers_say(trigger: str, makes: Callable[[], Play]) -> None:
    part, _ = TRIGGERS[trigger]
    assert makes().parts()["bob"] == part
    assert len(TRIGGERS) == 5


def test_every_part_is_one_that_a_rule_or_a_trigger_leads_to() -> None:
    reached = {rule.becomes for rule in RULES.values()} | {part for part, _ in TRIGGERS.values()}
    made_so = {Part.NOTIFIED, Part.BLOCKED}  # by a notice, and by who has the inviter on their blocklist
    assert reached - {None} == set(Part) - made_so
