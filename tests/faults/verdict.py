"""Whether everybody heard the truth: the server's state of each call against all callbacks and all answers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ringline.events import InvitationState
from ringline.protocol.errors import Fault
from tests.faults.calls import LONG_S, OUTCOMES, Act, Call, Stage
from tests.faults.fleet import WatchedDevice


def judge(stage: Stage, states: Mapping[str, InvitationState | None] | None = None) -> Counter[str]:
    """Check every call; how often each outcome came of those that the server knows.

    Args:
        stage: whose calls.
        states: what the server says of each; asked for where left out.
    """
    outcomes: Counter[str] = Counter()
    states = stage.states() if states is None else states
    for call in stage.calls.values():
        state = states[call.iid]
        if state is None:
            _check_never_made(stage, call)
            continue
        outcomes[str(state.outcome)] += 1
        if call.kind == "crossing" and state.outcome == "cancelled" and not state.invitees:
            for device in stage.fleet.of(*call.invitees):  # taken back before it was made
                assert not of_call(device, call), f"{call.iid} was never made, and was heard"
            continue
        _check_state(call, state)
        for device in stage.fleet.of(call.caller.user):
            _check_inviter(call, state, device)
        for device in stage.fleet.of(*call.invitees):
            if not _is_spared(call, state, device):
                _check_invitee(call, state, device)
        for act in call.acts:
            _check_answer(call, state, stage, act)
    for device in stage.fleet.devices:
        device.heard.assert_nothing_twice()
        strange = [
            event for _, event in device.heard.all if getattr(event, "invite_id", None) not in (None, *stage.calls)
        ]
        assert not strange, strange
    return outcomes


def _is_spared(call: Call, state: InvitationState, device: WatchedDevice) -> bool:
    """Of two calls that crossed, the one that gives way is for the most part not heard of."""
    return call.kind == "crossing" and state.outcome == "cancelled" and not of_call(device, call)


def _check_never_made(stage: Stage, call: Call) -> None:
    refusal = call.acts[0].refusal()
    assert refusal is not None, f"{call.iid} was done and is unknown: lost"
    assert (refusal.fault is Fault.SERVER and call.timeout < LONG_S) or refusal.name == "withdrawn", refusal
    heard = {device.name: device.heard.of(call.iid) for device in stage.devices_of(call)}
    assert not any(heard.values()), f"{call.iid} is unknown, and was heard: {heard}"


def _check_state(call: Call, state: InvitationState) -> None:
    assert state.outcome in OUTCOMES[call.kind], (call.iid, state)
    assert set(state.invitees) == set(call.invitees), (call.iid, state)
    assert "pending" not in state.invitees.values(), (call.iid, state)
    parts = sorted(state.invitees.values())
    if call.kind == "first":
        assert parts == ["accepted", "taken", "taken"], (call.iid, state)
    if state.outcome != "accepted":
        assert "accepted" not in parts, (call.iid, state)


def _check_inviter(call: Call, state: InvitationState, device: WatchedDevice) -> None:
    """Created first, ended last, once each, and between them how each invitee was settled, once."""
    heard = of_call(device, call)
    names = [name for name, _ in heard]
    where = f"{device.name} of {call.iid}: {heard}"
    assert names[0] == "invitation_created", where
    assert names[-1] == "invitation_ended", where
    assert names.count("invitation_created") == names.count("invitation_ended") == 1, where
    assert heard[-1][1].outcome == state.outcome, where
    settled = [pair for name, event in heard for pair in _settles(name, event)]
    assert sorted(settled) == sorted(_settled(state.invitees)), where


def _check_invitee(call: Call, state: InvitationState, device: WatchedDevice) -> None:
    """It rang first, ended last, once each, and what settled this user between; or it was missed, once."""
    heard = of_call(device, call)
    names = [name for name, _ in heard]
    where = f"{device.name} of {call.iid}: {heard}"
    part = state.invitees[device.user]
    assert names[-1] in ("invitation_ended", "invitation_missed"), where
    assert heard[-1][1].outcome == state.outcome, where
    assert names.count("invitation_ended") <= 1, where
    if names[0] == "receive_new_invitation":
        assert names.count("receive_new_invitation") == 1, where
        assert "invitation_missed" not in names, where
        settled = [pair for name, event in heard for pair in _settles(name, event)]
        mine = [pair for pair in settled if pair[0] == device.user]
        assert mine == _settled({device.user: part}), where
        if call.kind in ("parties", "group"):
            assert sorted(settled) == sorted(state.invitees.items()), where
    else:
        assert names[0] == "invitation_missed", where
        assert names.count("invitation_missed") == 1, where
        assert names[1:] in ([], ["invitation_ended"]) or call.kind in ("parties", "group"), where
        assert heard[0][1].part == part, where
        assert device.user not in [user for name, event in heard for user, _ in _settles(name, event)], where


def _check_answer(call: Call, state: InvitationState, stage: Stage, act: Act) -> None:
    """What was answered is what happened."""
    refusal = act.refusal()
    where = f"{act.op} by {act.device.name} of {call.iid}: {refusal}, {state}"
    if refusal is not None and act.op != "invite":
        assert (refusal.code, refusal.name) == (8010, "invitation_over"), where
    if act.op not in ("accept", "reject"):
        return
    part = state.invitees[act.device.user]
    told = stage.fleet.of(call.caller.user)[0].heard.of(call.iid)
    mine = [
        event
        for name, event in told
        if name == f"invitee_{part}" and (event.invitee, event.device) == (act.device.user, act.device.name)
    ]
    is_mine = part == f"{act.op}ed" and bool(mine)
    assert (refusal is None) == is_mine, where


def of_call(device: WatchedDevice, call: Call) -> list[tuple[str, Any]]:
    """What a device heard of a call; `ringing` is not part of the log and may come at any time, or not at all."""
    return [(name, event) for name, event in device.heard.of(call.iid) if name != "invitee_ringing"]


def _settled(parts: dict[str, str]) -> list[tuple[str, str]]:
    """Those for whom there is a callback that says so; a notice settles nobody."""
    return [(user, part) for user, part in parts.items() if part != "notified"]


def _settles(name: str, event: Any) -> list[tuple[str, str]]:
    """Whom a callback settles, and how."""
    match name:
        case "invitee_accepted" | "invitee_rejected":
            return [(event.invitee, name.removeprefix("invitee_"))]
        case "invitation_taken" | "invitation_cancelled":
            return [(user, name.removeprefix("invitation_")) for user in event.invitees]
        case "invitation_timeout":
            return [(user, "timed_out") for user in event.invitees]
        case _:
            return []
