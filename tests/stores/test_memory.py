"""What only the memory store has: it takes no memory for what is over and forgotten."""

import pytest

from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock
from tests.stores.kinds import Run
from tests.stores.made import NOW, accepted, buried, first, rung, then
from tests.stores.made_groups import dismissed, founded, member
from tests.stores.made_groups import first as first_group
from tests.stores.made_groups import then as then_group


@pytest.mark.parametrize("gid", ["", "g1"])
def test_nothing_is_left_of_what_is_forgotten(run: Run, gid: str) -> None:
    store = MemoryStore(ManualClock(NOW))
    at_first = {name for name, value in vars(store).items() if value == {}}
    assert len(at_first) > 10
    one, group = rung("i1")._replace(gid=gid), founded("g1")
    run(store.commit([first(one), then(one, accepted(one)), first(buried("grave"))]))
    run(store.commit_groups([first_group(group, member("ann"), member("ben")), then_group(group, dismissed(group))]))
    run(store.block("ann", {"eve": "d1"}, 10))
    run(store.unblock("ann", ["eve"]))
    assert not run(store.block("ben", {"eve": "d1"}, 0))
    run(store.usage(["nobody"]))
    run(store.of_user("nobody", 0, "", 10))
    run(store.groups_of("nobody", "", 10))
    assert run(store.purge(NOW * 2, 10)) == 3
    assert {name: value for name, value in vars(store).items() if name in at_first and value} == {}
