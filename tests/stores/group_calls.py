"""What the contract suites ask of a store again and again, of groups: run to its end, and told in a word."""

from collections.abc import Collection

from ringline_broker.engine.groups.model import Group, Person, Standing
from ringline_broker.service.ports import GroupChange, HeldGroup, Store
from tests.stores.kinds import Run

MEMBER, APPLICANT, BANNED, LEFT = Standing


def put(run: Run, store: Store, *changes: GroupChange) -> None:
    """Commit these; all must be written."""
    assert run(store.commit_groups(changes)) == [True] * len(changes)


def held(run: Run, store: Store, gid: str, users: Collection[str] = ()) -> HeldGroup | None:
    return run(store.load_groups({gid: users})).get(gid)


def group_of(run: Run, store: Store, gid: str) -> Group | None:
    found = held(run, store, gid)
    return found.view.group if found else None


def people_of(run: Run, store: Store, gid: str, *users: str) -> dict[str, Person]:
    found = held(run, store, gid, users)
    assert found is not None
    return dict(found.view.people)


def mark_of(run: Run, store: Store, gid: str) -> int:
    found = held(run, store, gid)
    assert found is not None
    return found.mark


def users_of(run: Run, store: Store, gid: str, standing: Standing = MEMBER, after: str = "") -> list[str]:
    return [person.user for person in run(store.people(gid, standing, after, 1_000))]


def gids_of(run: Run, store: Store, user: str, after: str = "") -> list[str]:
    return [gid for gid, _ in run(store.groups_of(user, after, 1_000))]


def iids_in(run: Run, store: Store, gid: str, after: str = "") -> list[str]:
    return [one.iid for one in run(store.of_group(gid, after, 1_000))]
