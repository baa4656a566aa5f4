"""The page's transition rules and state diagram, from the engine's table."""

from itertools import groupby
from typing import Final

from ringline_broker.engine.model import Part
from ringline_broker.engine.table import RULES, SETTLED, TRIGGERS, Act, Role, Rule, Standing
from tests.docs.tables import table

_EFFECTS: Final = {
    Act.CREATE: "the invitation is made",
    Act.BURY: "a tombstone is set, or stays: an invite of this user under this id is refused",
    Act.SETTLE_SELF: "this invitee is settled: {becomes}",
    Act.SETTLE_OTHERS: "the pending invitees, or those named, are settled: {becomes}",
    Act.REPLACE_DATA: "the data is replaced",
    Act.FORWARD: "the inviter hears `ringing`; nothing is kept",
    Act.IGNORE: "nothing; no answer",
    Act.SHOW: "answered with the state",
}
_WHO: Final = {Role.INVITER: "the inviter", Role.INVITEE: "this invitee", Role.STRANGER: "another user"}


def rules() -> str:
    """Operation, role and state, and what becomes of it."""
    rows = [
        (f"`{op}`", role.value, _states([key[2] for key in keys]), _effect(rule))
        for (op, role, rule), keys in (
            (named, list(same)) for named, same in groupby(RULES, key=lambda key: (key[0], key[1], RULES[key]))
        )
    ]
    return table(("operation", "who asks", "state it finds", "what becomes of it"), rows)


def _states(standings: list[Standing]) -> str:
    if set(SETTLED) <= set(standings):
        others = [standing for standing in standings if standing not in SETTLED]
        return ", ".join([*map(_state, others), "settled"])
    return ", ".join(map(_state, standings))


def _state(standing: Standing) -> str:
    return "no such id" if standing is Standing.NONE else f"`{standing.value}`"


def _effect(rule: Rule) -> str:
    if rule.refusal is not None:
        return f"refused: {rule.refusal.code} `{rule.refusal.name}`"
    assert rule.act is not None
    return _EFFECTS[rule.act].format(becomes=f"`{rule.becomes}`")


def edges() -> dict[tuple[str, str], str]:
    """From one state of an invitee to the next, and what takes them there."""
    found: dict[tuple[str, str], list[str]] = {}
    for (op, role, standing), rule in RULES.items():
        for edge in _edges_of(role, standing, rule):
            found.setdefault(edge, []).append(op if standing is Standing.NONE else f"{op} by {_WHO[role]}")
    for trigger, (part, _) in TRIGGERS.items():
        found.setdefault((Part.PENDING, part), []).append(trigger)
    return {edge: ", ".join(dict.fromkeys(names)) for edge, names in found.items()}


def _edges_of(role: Role, standing: Standing, rule: Rule) -> list[tuple[str, str]]:
    match rule.act:
        case Act.CREATE:
            return [(_start(standing), Part.PENDING), (_start(standing), Part.NOTIFIED)]
        case Act.BURY if role is Role.STRANGER:
            return [(_start(standing), Standing.TOMBSTONE)]
        case Act.SETTLE_SELF | Act.SETTLE_OTHERS:
            return [(Part.PENDING, rule.becomes or Part.PENDING)]
        case _:
            return []


def _start(standing: Standing) -> str:
    return "[*]" if standing is Standing.NONE else standing.value


def diagram() -> str:
    """The states of an invitee, as a Mermaid diagram."""
    lines = [f"    {before} --> {after}: {_label(after, what)}" for (before, after), what in edges().items()]
    ends = [f"    {standing.value} --> [*]" for standing in SETTLED]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *ends, "```"])


def _label(after: str, what: str) -> str:
    return f"{what}, answers 0" if after == Part.NOTIFIED else what
