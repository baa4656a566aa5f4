"""Invitations, as the application asks for things about them: `client.invite` and what follows from it."""

from collections.abc import Sequence
from typing import Final

from ringline.arguments import (
    checked_flag,
    checked_id,
    checked_int,
    checked_some_users,
    checked_str,
    checked_text,
    checked_users,
)
from ringline.data import Value, pack_data
from ringline.events import InvitationState
from ringline.handles import RequestHandle
from ringline.ids import new_id, new_request_id
from ringline.protocol.limits import MAX_INVITEES, MAX_REASON_BYTES, MAX_TEXT_BYTES, MAX_TIMEOUT_S
from ringline.protocol.requests import (
    DEFAULT_TIMEOUT_S,
    Accept,
    Cancel,
    Get,
    Invite,
    Modify,
    OnInvitation,
    Reject,
    Ringing,
)
from ringline.requester import Requester

FIRST: Final = 1
"""For `answers`: the first to accept takes it."""
NONE: Final = 0
"""For `answers`: a notice, over when made."""


class Invitations(Requester):
    """Requests about invitations, which a client makes. Each but `state` returns a handle at once; its `result` waits
    for the answer.

    Every method raises TypeError or ValueError where an argument is of a wrong type or out of its limits.
    """

    def invite(  # noqa: PLR0913 - an invitation has many
        self,
        invitees: Sequence[str],
        data: Value = None,
        *,
        timeout: int = DEFAULT_TIMEOUT_S,
        answers: int | None = None,
        audience: str = "",
        online_only: bool = False,
        invite_id: str | None = None,
        group_id: str = "",
        partial: bool = False,
    ) -> RequestHandle[None]:
        """Ring somebody.

        Args:
            invitees: user ids, at least one, not oneself.
            data: any MessagePack value that packs to at most 8,192 bytes.
            timeout: whole seconds to the deadline, 0 to 86,400; 0 for none.
            answers: how many may accept before the rest are settled as taken: FIRST, a number, None for all; NONE makes
                a notice, which is over when made.
            audience: `parties` lets every party hear every event.
            online_only: only devices that are online now; if there is none it ends at once as `offline`.
            invite_id: chosen here where left out, 96 random bits.
            group_id: the group it is made in: all members hear of it, and only members can be invited.
            partial: in a group, leave out invitees who are no members; the invitation is refused otherwise.

        Returns:
            A handle whose invite_id is known at once.

        Raises:
            TypeError, ValueError: an argument is of a wrong type or out of its limits.
        """
        users = checked_some_users("invitees", invitees)
        if self.user in users:
            raise ValueError("invitees must not name the inviter")
        checked_int("timeout", timeout, 0, MAX_TIMEOUT_S)
        if answers is not None:
            checked_int("answers", answers, 0, MAX_INVITEES)
        if checked_str("audience", audience) not in ("", "parties"):
            raise ValueError(f"audience must be '' or 'parties', not {audience!r}")
        iid = new_id() if invite_id is None else checked_id("invite_id", invite_id)
        request = Invite(
            id=new_request_id(), dev=self.device, iid=iid, to=users, timeout=timeout, data=pack_data(data),
            answers=answers, audience=audience, online_only=checked_flag("online_only", online_only),
            gid=checked_id("group_id", group_id) if group_id != "" else "", partial=checked_flag("partial", partial),
        )  # fmt: skip
        return self._act(request)

    def invite_in_group(
        self,
        group_id: str,
        invitees: Sequence[str],
        data: Value = None,
        *,
        timeout: int = DEFAULT_TIMEOUT_S,
        answers: int | None = None,
        online_only: bool = False,
        invite_id: str | None = None,
        partial: bool = False,
    ) -> RequestHandle[None]:
        """Ring members of a group; all others hear of it. The arguments are those of `invite`."""
        return self.invite(
            invitees, data, timeout=timeout, answers=answers, online_only=online_only, invite_id=invite_id,
            group_id=checked_id("group_id", group_id), partial=partial,
        )  # fmt: skip

    def ringing(self, invite_id: str) -> RequestHandle[None]:
        """Tell the inviter that this device really alerts its user now. Sent once, never answered."""
        return self._act(Ringing(id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id)))

    def accept(self, invite_id: str, data: Value = None) -> RequestHandle[None]:
        """Accept for this user; the first device to answer decides for all of them."""
        iid = checked_id("invite_id", invite_id)
        return self._act(Accept(id=new_request_id(), dev=self.device, iid=iid, data=pack_data(data)))

    def reject(self, invite_id: str, data: Value = None, *, reason: str = "", text: str = "") -> RequestHandle[None]:
        """Reject for this user.

        Args:
            invite_id: which.
            data: as in invite.
            reason: a word of `protocol.reasons`, such as `busy`, or one's own of at most 32 bytes.
            text: free text, at most 256 bytes.
        """
        request = Reject(
            id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id), data=pack_data(data),
            reason=checked_text("reason", reason, MAX_REASON_BYTES), text=checked_text("text", text, MAX_TEXT_BYTES),
        )  # fmt: skip
        return self._act(request)

    def cancel(
        self,
        invite_id: str,
        data: Value = None,
        *,
        invitees: Sequence[str] = (),
        reason: str = "",
        text: str = "",
    ) -> RequestHandle[None]:
        """Take an invitation back, or some invitees of it; who accepted stays so.

        Args:
            invite_id: which; one that was not sent yet is dropped here, and its handle fails with `withdrawn`.
            data: as in invite.
            invitees: only these; all who are pending where left out.
            reason: as in reject.
            text: as in reject.
        """
        request = Cancel(
            id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id), data=pack_data(data),
            to=checked_users("invitees", invitees), reason=checked_text("reason", reason, MAX_REASON_BYTES),
            text=checked_text("text", text, MAX_TEXT_BYTES),
        )  # fmt: skip
        return self._act(request)

    def modify(self, invite_id: str, data: Value) -> RequestHandle[None]:
        """Replace the invitation's data, while somebody is pending."""
        iid = checked_id("invite_id", invite_id)
        return self._act(Modify(id=new_request_id(), dev=self.device, iid=iid, data=pack_data(data)))

    def get(self, invite_id: str) -> RequestHandle[InvitationState]:
        """Ask for the present state; `result` returns it."""
        request = Get(id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id))
        return self._ask(request, RequestHandle(request.iid))

    def state(self, invite_id: str, timeout: float | None = 10.0) -> InvitationState:
        """The present state; waits for it.

        Raises:
            SignalingError: refused, or no answer within `timeout` seconds.
        """
        return self.get(invite_id).result(timeout)

    def _act(self, request: OnInvitation) -> RequestHandle[None]:
        return self._ask(request, RequestHandle(request.iid))
