"""How much a run measures."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Form:
    """How much of everything.

    Attributes:
        name: of the form.
        users: who call each other, one device each.
        outstanding: calls under way at once.
        rounds: runs of each system in turn.
        calls: measured in a run.
        warm_up: calls before them, not measured.
        rate: calls a second where latency is measured.
        rate_rounds: such runs of each system.
        rate_calls: measured in such a run.
        in_memory: also measures ours with nothing on disk.
        devices: over how many memory is measured.
        open: numbers of open invitations.
        open_rounds: runs with each of them.
        lag_rounds: such runs in which deadlines are met too.
        deadlines: how many come due.
        spread_s: seconds over which they come due.
        burst: how many come due within one second; 0: not measured.
        burst_after_s: seconds in which so many can be opened.
        client_rounds: starts of the client.
        safe_rounds: runs of calls with each of the protections.
        login_rounds: runs of each kind of login.
        logins: in such a run.
        slow_logins: in such a run where each password is checked with argon2.
        others: numbers of devices that are connected and silent.
        others_rounds: runs among them.
        acts: questions, SUBSCRIBEs and connections in such a run.
    """

    name: str
    users: int = 200
    outstanding: int = 64
    rounds: int
    calls: int
    warm_up: int
    rate: float = 50.0
    rate_rounds: int
    rate_calls: int
    in_memory: bool
    devices: int
    open: tuple[int, ...]
    open_rounds: int
    lag_rounds: int
    deadlines: int
    spread_s: int
    burst: int
    burst_after_s: int
    client_rounds: int
    safe_rounds: int
    login_rounds: int
    logins: int
    slow_logins: int
    others: tuple[int, ...]
    others_rounds: int
    acts: int


SHORT: Final = Form(
    name="short",
    rounds=5,
    calls=2_000,
    warm_up=300,
    rate_rounds=3,
    rate_calls=150,
    in_memory=False,
    devices=1_000,
    open=(1_000, 10_000),
    open_rounds=3,
    lag_rounds=1,
    deadlines=500,
    spread_s=5,
    burst=0,
    burst_after_s=0,
    client_rounds=3,
    safe_rounds=5,
    login_rounds=3,
    logins=300,
    slow_logins=10,
    others=(100, 2_000),
    others_rounds=3,
    acts=1_000,
)
FULL: Final = Form(
    name="full",
    rounds=7,
    calls=10_000,
    warm_up=1_000,
    rate_rounds=5,
    rate_calls=500,
    in_memory=True,
    devices=2_000,
    open=(1_000, 10_000, 100_000),
    open_rounds=5,
    lag_rounds=3,
    deadlines=1_000,
    spread_s=10,
    burst=10_000,
    burst_after_s=20,
    client_rounds=7,
    safe_rounds=7,
    login_rounds=5,
    logins=1_000,
    slow_logins=30,
    others=(100, 2_000),
    others_rounds=5,
    acts=3_000,
)
TOY: Final = Form(
    name="toy",
    users=20,
    outstanding=8,
    rounds=1,
    calls=30,
    warm_up=5,
    rate_rounds=1,
    rate_calls=10,
    in_memory=True,
    devices=20,
    open=(20, 60),
    open_rounds=1,
    lag_rounds=1,
    deadlines=20,
    spread_s=1,
    burst=20,
    burst_after_s=2,
    client_rounds=1,
    safe_rounds=1,
    login_rounds=1,
    logins=10,
    slow_logins=2,
    others=(5, 20),
    others_rounds=1,
    acts=20,
)
