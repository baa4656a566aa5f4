"""Whom this user does not let ring: `client.blocklist`."""

from collections.abc import Sequence

from ringline.arguments import checked_bytes, checked_some_users
from ringline.events import BlocklistPage
from ringline.handles import RequestHandle
from ringline.ids import new_request_id
from ringline.protocol.blocklist_requests import Block, ListBlocked, Unblock
from ringline.protocol.limits import MAX_CURSOR_BYTES
from ringline.requester import Requester

__all__ = ["Blocklist", "BlocklistPage"]


class Blocklist(Requester):
    """Requests about this user's blocklist, which all their devices share. Each returns a handle at once; its `result`
    waits for the answer. They are made one after the other, in the order they are asked for.

    Who is on it does not learn it: whatever they ring is rejected as `busy` at once, and nothing of it arrives here,
    unless it is made in a group. What is open already stays so.

    Every method raises TypeError or ValueError where an argument is of a wrong type or out of its limits.
    """

    def add(self, users: Sequence[str]) -> RequestHandle[None]:
        """Let users ring this one no more: all of them or, where the list would grow too long, nobody. Who is on the
        list already stays.

        Args:
            users: whom, at least one and at most 300, not oneself.
        """
        names = checked_some_users("users", users)
        if self.user in names:
            raise ValueError("users must not name oneself")
        return self._ask(Block(id=new_request_id(), dev=self.device, users=names), RequestHandle())

    def remove(self, users: Sequence[str]) -> RequestHandle[None]:
        """Let users, at least one and at most 300, ring this one again; who is not on the list is passed over."""
        names = checked_some_users("users", users)
        return self._ask(Unblock(id=new_request_id(), dev=self.device, users=names), RequestHandle())

    def list(self, next: bytes = b"") -> RequestHandle[BlocklistPage]:  # noqa: A002
        """Ask who is on the list, by user id; `next` is the `next` of the page before."""
        cursor = checked_bytes("next", next, MAX_CURSOR_BYTES)
        return self._ask(ListBlocked(id=new_request_id(), dev=self.device, next=cursor), RequestHandle())
