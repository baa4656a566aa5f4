"""Requests that change nothing: syncs, questions about groups, and what a user does to their own blocklist."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ringline.protocol.answers import Answer
from ringline.protocol.blocklist_requests import OnBlocklist
from ringline.protocol.errors import ProtocolError
from ringline.protocol.requests import Sync
from ringline_broker.engine.step import Refused
from ringline_broker.metrics import Counters
from ringline_broker.service.blocklist import answer_blocklist
from ringline_broker.service.group_queries import GroupQueries
from ringline_broker.service.group_queries import Query as GroupQuery
from ringline_broker.service.ports import Binding, BrokerUnavailable, Store, StoreUnavailable
from ringline_broker.service.replies import Replies
from ringline_broker.service.sync import answer_sync

log = logging.getLogger(__name__)

Query = GroupQuery | OnBlocklist
_AT_ONCE: Final = 16
"""Each may load a page of invitations into memory."""


class Queries:
    """Deals with them.

    Args:
        store: what is asked about.
        binding: who lets members hear a group's topic.
        replies: for answers.
        counters: what is counted.
        max_blocked: users that one may have on their blocklist.
    """

    def __init__(
        self, store: Store, binding: Binding, replies: Replies, counters: Counters, max_blocked: int
    ) -> None:
        self._store = store
        self._replies = replies
        self._counters = counters
        self._max_blocked = max_blocked
        self._groups = GroupQueries(store, binding)

    async def deal_with(self, asked: Sequence[tuple[str, Query]]) -> None:
        """Answer these users; some at once, for a store that does in one go what waits."""
        for at in range(0, len(asked), _AT_ONCE):
            await asyncio.gather(*(self._one(user, request) for user, request in asked[at : at + _AT_ONCE]))

    async def _one(self, user: str, request: Query) -> None:
        try:
            answer = await self._answer(user, request)
        except ProtocolError as bad:
            self._replies.refuse(user, request, Refused(bad.code, bad.text, bad.field))
        except (StoreUnavailable, BrokerUnavailable) as failed:
            log.error("%s", failed)  # noqa: TRY400 - it has said what it is
            self._replies.unavailable(user, request)
        else:
            if isinstance(answer, Refused):
                self._replies.refuse(user, request, answer)
            else:
                self._replies.answer(user, request, answer)

    async def _answer(self, user: str, request: Query) -> Answer | Refused:
        if isinstance(request, Sync):
            self._counters.syncs += 1
            return await answer_sync(self._store, user, request)
        if isinstance(request, OnBlocklist):
            return await answer_blocklist(self._store, user, request, self._max_blocked)
        return await self._groups.answer(user, request)
