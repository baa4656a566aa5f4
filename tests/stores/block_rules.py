"""The rules of the random histories that are about blocklists; see test_random.py."""

from collections.abc import Collection

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ringline_broker.service.ports import Store
from tests.stores.group_rules import USERS, BothStores, straight, users

_masks = st.dictionaries(users, st.sampled_from(("d1", "é", "d3")), max_size=4)


class BlockRules(BothStores):
    """The same calls about blocklists on both stores."""

    @rule(user=users, masks=_masks, limit=st.sampled_from((3, 2, 0, 100)))
    def block(self, user: str, masks: dict[str, str], limit: int) -> None:
        done = straight(self.model.block(user, masks, limit))
        event("blocked" if done else "too many to block")
        assert self.run(self.store.block(user, masks, limit)) == done

    @rule(user=users, others=st.lists(users, max_size=4))
    def unblock(self, user: str, others: Collection[str]) -> None:
        straight(self.model.unblock(user, others))
        self.run(self.store.unblock(user, others))

    async def blocks_seen_of(self, store: Store) -> dict[object, object]:
        seen: dict[object, object] = {"blocking": await store.blocking([(a, b) for a in USERS for b in USERS])}
        for user in USERS:
            seen["blocked", user] = await store.blocked(user, "", 100)
            seen["blocked page", user] = await store.blocked(user, "ann", 2)
        return seen
