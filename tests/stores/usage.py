"""What users take, as tests ask for it and as they add it up themselves."""

from collections import defaultdict
from collections.abc import Iterable

from ringline_broker.engine.groups.model import Group
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Store, Usage
from tests.stores.kinds import Run

NOTHING = Usage()


def usage_of(run: Run, store: Store, user: str) -> Usage:
    return run(store.usage([user])).get(user, NOTHING)


def added_up(invitations: Iterable[Invitation], groups: Iterable[Group] = ()) -> dict[str, Usage]:
    """What each user takes where these stand and nothing else."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in invitations:
        sums[one.inviter][0] += one.ended is None
        sums[one.inviter][1] += one.size
    for group in groups:
        sums[group.maker][2] += 1
    return {user: Usage(*counts) for user, counts in sums.items()}
