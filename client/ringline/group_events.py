"""What group callbacks get, and what requests about groups return: one typed object each. Times are seconds; moments
are server time, in seconds since 1970.
"""

from dataclasses import dataclass

from ringline.data import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNews:
    """What every event of a group says.

    Attributes:
        group_id: the group.
        by: who brought it about; None for the server.
        device: on which of their devices.
        this_device: whether that is this one.
    """

    group_id: str
    by: str | None = None
    device: str | None = None
    this_device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCreated(GroupNews):
    """A group of this user stands, made by this device or another of theirs."""

    preset: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDismissed(GroupNews):
    """The group is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEnter(GroupNews):
    """Users joined, this user perhaps among them."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInvited(GroupNews):
    """Users were made members by `by`, this user perhaps among them."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeave(GroupNews):
    """Other users quit."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKicked(GroupNews):
    """Users were removed by `by`, this user perhaps among them.

    Attributes:
        reason: the application's own word; "" where none was given.
    """

    users: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfoChanged(GroupNews):
    """What the group shows of a member changed; what is None did not.

    Attributes:
        card: the name in this group.
        custom: all of the application's fields.
        muted: seconds for which they may not invite; 0: they may.
    """

    user: str
    card: str | None = None
    custom: dict[str, Value] | None = None
    muted: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllGroupMembersMuted(GroupNews):
    """All members but the owner and administrators may not invite, or may again."""

    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorGranted(GroupNews):
    """Members are administrators now."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorRevoked(GroupNews):
    """Members are administrators no longer."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfoChanged(GroupNews):
    """What the group says of itself changed; what is None did not.

    Attributes:
        custom: all of the application's fields.
        owner: the new owner; "" where it has none.
    """

    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    face_url: str | None = None
    custom: dict[str, Value] | None = None
    max_members: int | None = None
    join_option: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAttributeChanged(GroupNews):
    """Attributes changed.

    Attributes:
        changed: keys with their new values.
        deleted: keys that are gone.
        version: of the attributes; what `set_attributes` may expect.
    """

    changed: dict[str, Value]
    deleted: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounterChanged(GroupNews):
    """A counter has a new value."""

    key: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinApplication(GroupNews):
    """Somebody applies for membership."""

    user: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationProcessed(GroupNews):
    """An application was decided by `by`.

    Attributes:
        user: who applied.
        accepted: whether they are a member now.
        text: what the deciding user says.
    """

    user: str
    accepted: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuitFromGroup(GroupNews):
    """This user is a member no longer.

    Attributes:
        reason: "" where they quit; `gone` where it happened while this device was away, however it did.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """A group as it stands. Who is no member is told no attributes and no counters.

    Attributes:
        owner: "" where it has none.
        admins: the administrators, without the owner.
        custom: the application's fields.
        max_members: 0 for no limit.
        join_option: `free`, `approval` or `invite`.
        created: when it was made.
        attributes_version: what `set_attributes` may expect.
        role: what this user is in it: `owner`, `admin`, `member`, or "" for no member.
    """

    group_id: str
    preset: str
    owner: str
    admins: tuple[str, ...]
    name: str
    introduction: str
    notification: str
    face_url: str
    custom: dict[str, Value]
    max_members: int
    join_option: str
    member_count: int
    all_muted: bool
    created: float
    attributes: dict[str, Value]
    attributes_version: int
    counters: dict[str, int]
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState(GroupNews):
    """The server does not remember all that this device missed; this is how the group stands now.

    Attributes:
        info: the group.
    """

    info: GroupInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A member, or somebody who applies.

    Attributes:
        role: `owner`, `admin` or `member`; "" for who applies.
        card: the name in this group.
        custom: the application's fields.
        joined: since when they are a member, or when they applied.
        muted: seconds for which they may not invite; 0: they may.
        text: what an applicant says.
    """

    user: str
    role: str
    card: str
    custom: dict[str, Value]
    joined: float
    muted: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPage:
    """Some members, by user id.

    Attributes:
        next: where the next page starts; empty where this is the last.
    """

    members: tuple[GroupMember, ...]
    next: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """Some of this user's groups, by id.

    Attributes:
        next: where the next page starts; empty where this is the last.
    """

    groups: tuple[str, ...]
    next: bytes
