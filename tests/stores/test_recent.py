"""What a store remembers of what it wrote last: never more than it may, and never what is not so."""

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, Held, Mark
from ringline_broker.stores import recent
from ringline_broker.stores.recent import Recent


def invitation(iid: str, n: int = 1, size: int = 100) -> Invitation:
    return Invitation(iid, "ann", {}, n=n, size=size)


def remember(memory: Recent, *iids: str, size: int = 100) -> None:
    memory.committed([Change(invitation(iid, size=size), 0) for iid in iids], [True] * len(iids))


def test_it_has_what_was_written_last_with_its_mark() -> None:
    memory = Recent()
    remember(memory, "i1", "i2")
    memory.marked([Mark("i1", 0, 1), Mark("i3", 0, 1)])
    memory.committed([Change(invitation("i1", n=2), 1)], [True])
    assert memory.get(["i1", "i2", "i3"]) == {"i1": Held(invitation("i1", n=2), 1), "i2": Held(invitation("i2"), 0)}


def test_what_was_not_written_is_forgotten_and_what_is_not_known_is_not_begun_with() -> None:
    memory = Recent()
    remember(memory, "i1")
    memory.committed([Change(invitation("i1", n=2), 1), Change(invitation("i2", n=5), 4)], [False, True])
    assert memory.get(["i1", "i2"]) == {}


def test_the_longest_unused_goes_first() -> None:
    memory = Recent()
    iids = [f"i{n}" for n in range(recent._MAX_ENTRIES)]
    remember(memory, *iids)
    assert set(memory.get(iids)) == set(iids)
    memory.get(["i0"])
    remember(memory, "more")
    assert set(memory.get([*iids, "more"])) == {*iids, "more"} - {"i1"}


def test_large_ones_count_for_more() -> None:
    memory = Recent()
    remember(memory, "i1", "i2", size=recent._MAX_BYTES // 2)
    assert len(memory.get(["i1", "i2"])) == 2
    remember(memory, "i3", size=1)
    assert set(memory.get(["i1", "i2", "i3"])) == {"i2", "i3"}
    memory.forget(["i2", "i2", "never"])
    remember(memory, "i4", size=recent._MAX_BYTES - 1)
    assert set(memory.get(["i2", "i3", "i4"])) == {"i3", "i4"}
