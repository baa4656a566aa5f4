"""What the contract suites ask of a store again and again, of invitations: run to its end, and told in a word."""

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Store
from tests.stores.kinds import Run
from tests.stores.made import first, then
from tests.stores.usage import usage_of

LEASE = 5_000


def put(run: Run, store: Store, *invitations: Invitation) -> None:
    """Commit the first versions of these."""
    assert run(store.commit([first(one) for one in invitations])) == [True] * len(invitations)


def change(run: Run, store: Store, base: Invitation, invitation: Invitation) -> None:
    """Commit the version after this one."""
    assert run(store.commit([then(base, invitation)])) == [True]


def standing(run: Run, store: Store, iid: str) -> Invitation | None:
    held = run(store.load([iid])).get(iid)
    return held.invitation if held else None


def mark_of(run: Run, store: Store, iid: str) -> int:
    return run(store.load([iid]))[iid].mark


def iids_of(run: Run, store: Store, user: str, since_ms: int | None = None, after: str = "") -> list[str]:
    return [one.iid for one in run(store.of_user(user, since_ms, after, 1_000))]


def open_of(run: Run, store: Store, user: str) -> int:
    return usage_of(run, store, user).open
