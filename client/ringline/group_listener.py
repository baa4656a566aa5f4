"""What an application overrides to hear of groups. Names are Tencent's group callbacks in snake case."""

from ringline.group_events import (
    AdministratorGranted,
    AdministratorRevoked,
    AllGroupMembersMuted,
    ApplicationProcessed,
    GroupAttributeChanged,
    GroupCounterChanged,
    GroupCreated,
    GroupDismissed,
    GroupInfoChanged,
    GroupState,
    JoinApplication,
    MemberEnter,
    MemberInfoChanged,
    MemberInvited,
    MemberKicked,
    MemberLeave,
    QuitFromGroup,
)


class GroupListener:
    """Override what you need. Callbacks come on the same thread and in the same way as those of SignalingListener."""

    def on_member_enter(self, event: MemberEnter) -> None:
        """Users joined; devices of all members hear this, theirs too."""

    def on_member_leave(self, event: MemberLeave) -> None:
        """Users quit; devices of the other members hear this."""

    def on_member_invited(self, event: MemberInvited) -> None:
        """Users were made members; devices of all members hear this, theirs too."""

    def on_member_kicked(self, event: MemberKicked) -> None:
        """Users were removed; devices of all members hear this, theirs too, and nothing of the group afterwards."""

    def on_member_info_changed(self, event: MemberInfoChanged) -> None:
        """What the group shows of a member changed."""

    def on_all_group_members_muted(self, event: AllGroupMembersMuted) -> None:
        """All members may not invite, or may again."""

    def on_group_created(self, event: GroupCreated) -> None:
        """A group of this user stands; devices of who made it hear this."""

    def on_group_dismissed(self, event: GroupDismissed) -> None:
        """The group is no more."""

    def on_group_info_changed(self, event: GroupInfoChanged) -> None:
        """What the group says of itself changed."""

    def on_group_attribute_changed(self, event: GroupAttributeChanged) -> None:
        """Attributes changed."""

    def on_group_counter_changed(self, event: GroupCounterChanged) -> None:
        """A counter changed."""

    def on_receive_join_application(self, event: JoinApplication) -> None:
        """Somebody applies for membership; devices of the owner and administrators hear this."""

    def on_application_processed(self, event: ApplicationProcessed) -> None:
        """An application was decided; devices of the applicant, the owner and administrators hear this."""

    def on_grant_administrator(self, event: AdministratorGranted) -> None:
        """Members are administrators now."""

    def on_revoke_administrator(self, event: AdministratorRevoked) -> None:
        """Members are administrators no longer."""

    def on_quit_from_group(self, event: QuitFromGroup) -> None:
        """This user quit, or is a member no longer for a reason this device missed; their own devices hear this."""

    def on_group_state(self, event: GroupState) -> None:
        """This device missed more than the server remembers: this is how the group stands now."""
