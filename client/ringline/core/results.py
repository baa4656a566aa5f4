"""What an answer of the server is to the application: a state, or an error."""

from ringline.data import unpack_data
from ringline.errors import SignalingError
from ringline.events import InvitationState
from ringline.protocol.messages import Refusal, State


def state_of(state: State) -> InvitationState:
    """The state of an invitation that the server shows."""
    return InvitationState(
        invite_id=state.iid,
        inviter=state.by,
        invitees=dict(state.to or {}),
        data=unpack_data(state.data),
        time_left=None if state.ttl is None else state.ttl / 1000,
        outcome=state.end,
        device=state.dev,
    )


def error_of(refusal: Refusal) -> SignalingError:
    """The error that a refusal is."""
    state = None if refusal.state is None else state_of(refusal.state)
    return SignalingError(refusal.code, refusal.name, refusal.text, refusal.field, state)
