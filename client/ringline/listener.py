"""What an application overrides to hear of things. Names are Tencent's signaling callbacks in snake case, and ours."""

from ringline.events import (
    Connected,
    Disconnected,
    InvitationCancelled,
    InvitationCreated,
    InvitationDropped,
    InvitationEnded,
    InvitationMissed,
    InvitationModified,
    InvitationTaken,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    InviteeRinging,
    NewInvitation,
)


class SignalingListener:
    """Override what you need. Callbacks run one at a time on the client's own thread, may call the client, and may
    block without harm to the connection; one that raises is logged and stops nothing.

    Below stands which devices hear of an invitation outside groups. In a group, those of all members hear everything.
    """

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        """Ring. Every device of every invitee hears this, once. In a group those of other members do too, with `to_me`
        False: they do not ring.
        """

    def on_invitation_created(self, event: InvitationCreated) -> None:
        """An invitation of this user stands; all devices of the inviter hear this."""

    def on_invitee_ringing(self, event: InviteeRinging) -> None:
        """An invitee's device alerts its user; devices of the inviter hear this."""

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        """An invitee accepted; devices of the inviter and of that invitee hear this."""

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        """An invitee rejected; devices of the inviter and of that invitee hear this."""

    def on_invitation_taken(self, event: InvitationTaken) -> None:
        """Enough others accepted; devices of the inviter and of those who need not answer hear this."""

    def on_invitation_cancelled(self, event: InvitationCancelled) -> None:
        """The inviter took it back; devices of the inviter and of those it is taken back for hear this."""

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        """The deadline passed; devices of the inviter and of those who had not answered hear this."""

    def on_invitation_modified(self, event: InvitationModified) -> None:
        """The data was replaced; devices of the inviter and of pending and accepted invitees hear this."""

    def on_invitation_dropped(self, event: InvitationDropped) -> None:
        """Members left the group, and who was invited need not answer; devices of all members hear this, and theirs."""

    def on_invitation_missed(self, event: InvitationMissed) -> None:
        """It was over for this user before this device heard of it: show it as missed, or not at all."""

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        """It is over for everybody; devices of all parties hear this, after whatever ended it."""

    def on_connected(self, event: Connected) -> None:
        """Connected, and up to date."""

    def on_disconnected(self, event: Disconnected) -> None:
        """Not connected; the client tries again by itself."""
