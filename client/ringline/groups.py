"""Groups, as the application asks for things about them: `client.groups`."""

from collections.abc import Mapping, Sequence
from typing import Final

from ringline.arguments import (
    checked_bytes,
    checked_fields,
    checked_flag,
    checked_id,
    checked_int,
    checked_names,
    checked_some_users,
    checked_text,
    checked_users,
    checked_word,
)
from ringline.data import Value
from ringline.group_events import GroupInfo, GroupPage, MemberPage
from ringline.handles import RequestHandle
from ringline.ids import new_id, new_request_id
from ringline.protocol.group_requests import (
    AddMembers,
    AnswerApplication,
    Count,
    CreateGroup,
    DismissGroup,
    GetGroup,
    JoinGroup,
    ListApplications,
    ListGroups,
    ListMembers,
    MuteAll,
    MuteMember,
    QuitGroup,
    RemoveMembers,
    SetAttributes,
    SetGroupInfo,
    SetMyInfo,
    SetRole,
    TransferGroup,
)
from ringline.protocol.group_shapes import (
    JOIN_OPTIONS,
    MAX_ATTRIBUTE_BYTES,
    MAX_ATTRIBUTES,
    MAX_BAN_S,
    MAX_CARD_BYTES,
    MAX_CUSTOM_BYTES,
    MAX_CUSTOM_KEYS,
    MAX_FACE_BYTES,
    MAX_GROUP_MEMBERS,
    MAX_INTRODUCTION_BYTES,
    MAX_NAME_BYTES,
    PRESETS,
    ROLES,
)
from ringline.protocol.limits import MAX_CURSOR_BYTES, MAX_INT, MAX_REASON_BYTES, MAX_TEXT_BYTES
from ringline.requester import Requester

_INFO_BYTES: Final = {
    "name": MAX_NAME_BYTES,
    "introduction": MAX_INTRODUCTION_BYTES,
    "notification": MAX_INTRODUCTION_BYTES,
    "face_url": MAX_FACE_BYTES,
}


class Groups(Requester):
    """Requests about groups. Each returns a handle at once; its `result` waits for the answer.

    Every method raises TypeError or ValueError where an argument is of a wrong type or out of its limits.
    """

    # A group's life.

    def create(  # noqa: PLR0913 - a group has many
        self,
        group_id: str | None = None,
        *,
        preset: str = "public",
        name: str = "",
        introduction: str = "",
        notification: str = "",
        face_url: str = "",
        custom: Mapping[str, Value] | None = None,
        max_members: int = 0,
        join_option: str = "",
        members: Sequence[str] = (),
    ) -> RequestHandle[GroupInfo]:
        """Make a group, which this user owns.

        Args:
            group_id: chosen here where left out, 96 random bits; the handle knows it at once.
            preset: `work`, `public`, `meeting` or `live`: what members may do by default.
            name: for people, at most 100 bytes.
            introduction: likewise, at most 400 bytes.
            notification: likewise, at most 400 bytes.
            face_url: of a picture, at most 500 bytes.
            custom: the application's fields: at most 16, each value packs to at most 512 bytes.
            max_members: 0 for what the preset allows.
            join_option: `free`, `approval` or `invite`; "" for what the preset has.
            members: members from the start, beside this user.
        """
        gid = new_id() if group_id is None else checked_id("group_id", group_id)
        request = CreateGroup(
            id=new_request_id(), dev=self.device, gid=gid, preset=checked_word("preset", preset, PRESETS),
            name=_info("name", name), introduction=_info("introduction", introduction),
            notification=_info("notification", notification), face=_info("face_url", face_url),
            custom=None if custom is None else _custom(custom),
            most=checked_int("max_members", max_members, 0, MAX_GROUP_MEMBERS),
            join=checked_word("join_option", join_option, ("", *JOIN_OPTIONS)), to=checked_users("members", members),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def dismiss(self, group_id: str) -> RequestHandle[None]:
        """End a group of this user's for everybody."""
        gid = checked_id("group_id", group_id)
        return self._ask(DismissGroup(id=new_request_id(), dev=self.device, gid=gid), RequestHandle(group_id=gid))

    def join(self, group_id: str, text: str = "") -> RequestHandle[bool]:
        """Become a member, or apply for it.

        Args:
            group_id: which.
            text: for who decides, where it takes approval; at most 256 bytes.

        Returns:
            A handle whose result is True where this user is a member now, False where that waits for approval.
        """
        gid = checked_id("group_id", group_id)
        request = JoinGroup(
            id=new_request_id(), dev=self.device, gid=gid, text=checked_text("text", text, MAX_TEXT_BYTES)
        )
        return self._ask(request, RequestHandle(group_id=gid))

    def quit(self, group_id: str) -> RequestHandle[None]:
        """Stop being a member."""
        gid = checked_id("group_id", group_id)
        return self._ask(QuitGroup(id=new_request_id(), dev=self.device, gid=gid), RequestHandle(group_id=gid))

    # Members.

    def add(self, group_id: str, users: Sequence[str]) -> RequestHandle[None]:
        """Make users members, without asking them; who is one already is passed over."""
        gid = checked_id("group_id", group_id)
        to = checked_some_users("users", users)
        return self._ask(AddMembers(id=new_request_id(), dev=self.device, gid=gid, to=to), RequestHandle(group_id=gid))

    def remove(
        self, group_id: str, users: Sequence[str], *, reason: str = "", ban: int = 0
    ) -> RequestHandle[None]:
        """Make members leave; who is none is passed over.

        Args:
            group_id: which.
            users: whom.
            reason: the application's own word, at most 32 bytes.
            ban: seconds for which they cannot come back.
        """
        gid = checked_id("group_id", group_id)
        request = RemoveMembers(
            id=new_request_id(), dev=self.device, gid=gid, to=checked_some_users("users", users),
            reason=checked_text("reason", reason, MAX_REASON_BYTES), ban=checked_int("ban", ban, 0, MAX_BAN_S),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def set_role(self, group_id: str, user: str, role: str) -> RequestHandle[None]:
        """Make a member an administrator (`admin`), or an administrator a `member`."""
        gid = checked_id("group_id", group_id)
        request = SetRole(
            id=new_request_id(), dev=self.device, gid=gid, user=checked_id("user", user),
            role=checked_word("role", role, ("admin", "member")),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def transfer(self, group_id: str, user: str) -> RequestHandle[None]:
        """Make another member the owner."""
        gid, to = checked_id("group_id", group_id), checked_id("user", user)
        request = TransferGroup(id=new_request_id(), dev=self.device, gid=gid, user=to)
        return self._ask(request, RequestHandle(group_id=gid))

    def mute(self, group_id: str, user: str, seconds: int) -> RequestHandle[None]:
        """Keep a member from inviting for some time; 0 seconds: no longer."""
        gid = checked_id("group_id", group_id)
        request = MuteMember(
            id=new_request_id(), dev=self.device, gid=gid, user=checked_id("user", user),
            seconds=checked_int("seconds", seconds, 0, MAX_BAN_S),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def mute_all(self, group_id: str, on: bool) -> RequestHandle[None]:  # noqa: FBT001 - the one thing it says
        """Keep all members but the owner and administrators from inviting, or no longer."""
        gid = checked_id("group_id", group_id)
        request = MuteAll(id=new_request_id(), dev=self.device, gid=gid, on=checked_flag("on", on))
        return self._ask(request, RequestHandle(group_id=gid))

    # What it says of itself.

    def set_info(
        self,
        group_id: str,
        *,
        name: str | None = None,
        introduction: str | None = None,
        notification: str | None = None,
        face_url: str | None = None,
        custom: Mapping[str, Value] | None = None,
        max_members: int | None = None,
        join_option: str | None = None,
    ) -> RequestHandle[None]:
        """Change what the group says of itself; what is left out stays. The arguments are those of `create`; `custom`
        replaces all of the application's fields.
        """
        gid = checked_id("group_id", group_id)
        request = SetGroupInfo(
            id=new_request_id(), dev=self.device, gid=gid,
            name=None if name is None else _info("name", name),
            introduction=None if introduction is None else _info("introduction", introduction),
            notification=None if notification is None else _info("notification", notification),
            face=None if face_url is None else _info("face_url", face_url),
            custom=None if custom is None else _custom(custom),
            most=None if max_members is None else checked_int("max_members", max_members, 0, MAX_GROUP_MEMBERS),
            join=None if join_option is None else checked_word("join_option", join_option, JOIN_OPTIONS),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def set_my_info(
        self, group_id: str, *, card: str | None = None, custom: Mapping[str, Value] | None = None
    ) -> RequestHandle[None]:
        """Change what the group shows of this user; what is left out stays.

        Args:
            group_id: which.
            card: this user's name in the group, at most 50 bytes.
            custom: replaces all of the application's fields; limits as in `create`.
        """
        gid = checked_id("group_id", group_id)
        request = SetMyInfo(
            id=new_request_id(), dev=self.device, gid=gid,
            card=None if card is None else checked_text("card", card, MAX_CARD_BYTES),
            custom=None if custom is None else _custom(custom),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def set_attributes(
        self,
        group_id: str,
        put: Mapping[str, Value] | None = None,
        *,
        delete: Sequence[str] = (),
        clear: bool = False,
        expected: int | None = None,
    ) -> RequestHandle[None]:
        """Change the group's attributes, all of it or nothing.

        Args:
            group_id: which.
            put: keys with their new values: at most 16, each packs to at most 4,096 bytes, a request to 16,384.
            delete: keys to delete.
            clear: delete all first.
            expected: only where this is the version of the attributes; refused as `attributes_changed` otherwise.
        """
        gid = checked_id("group_id", group_id)
        fields = checked_fields("put", {} if put is None else put, MAX_ATTRIBUTES, MAX_ATTRIBUTE_BYTES)
        request = SetAttributes(
            id=new_request_id(), dev=self.device, gid=gid, put=fields or None,
            drop=checked_names("delete", delete, MAX_ATTRIBUTES), clear=checked_flag("clear", clear),
            at=None if expected is None else checked_int("expected", expected, 0, MAX_INT),
        )  # fmt: skip
        if not (request.put or request.drop or request.clear):
            raise ValueError("put, delete or clear must say what to change")
        return self._ask(request, RequestHandle(group_id=gid))

    def add_to_counter(self, group_id: str, key: str, by: int = 1) -> RequestHandle[None]:
        """Add to a counter, or take from it; one that does not exist is 0."""
        gid, name = checked_id("group_id", group_id), checked_id("key", key)
        request = Count(
            id=new_request_id(), dev=self.device, gid=gid, key=name, add=checked_int("by", by, -MAX_INT, MAX_INT)
        )
        return self._ask(request, RequestHandle(group_id=gid))

    def set_counter(self, group_id: str, key: str, value: int) -> RequestHandle[None]:
        """Set a counter."""
        gid, name = checked_id("group_id", group_id), checked_id("key", key)
        request = Count(
            id=new_request_id(), dev=self.device, gid=gid, key=name, put=checked_int("value", value, -MAX_INT, MAX_INT)
        )
        return self._ask(request, RequestHandle(group_id=gid))

    # Questions.

    def info(self, group_id: str) -> RequestHandle[GroupInfo]:
        """Ask how a group stands."""
        gid = checked_id("group_id", group_id)
        return self._ask(GetGroup(id=new_request_id(), dev=self.device, gid=gid), RequestHandle(group_id=gid))

    def members(self, group_id: str, role: str = "", next: bytes = b"") -> RequestHandle[MemberPage]:  # noqa: A002
        """Ask for members, by user id.

        Args:
            group_id: which.
            role: only these: `owner`, `admin` or `member`.
            next: the `next` of the page before.
        """
        gid = checked_id("group_id", group_id)
        request = ListMembers(
            id=new_request_id(), dev=self.device, gid=gid, role=checked_word("role", role, ("", *ROLES)),
            next=checked_bytes("next", next, MAX_CURSOR_BYTES),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))

    def applications(self, group_id: str, next: bytes = b"") -> RequestHandle[MemberPage]:  # noqa: A002
        """Ask who applies for membership; `next` is the `next` of the page before."""
        gid = checked_id("group_id", group_id)
        cursor = checked_bytes("next", next, MAX_CURSOR_BYTES)
        request = ListApplications(id=new_request_id(), dev=self.device, gid=gid, next=cursor)
        return self._ask(request, RequestHandle(group_id=gid))

    def accept_application(self, group_id: str, user: str, text: str = "") -> RequestHandle[None]:
        """Make who applies a member; `text` is for them, at most 256 bytes."""
        return self._decide(group_id, user, text, ok=True)

    def refuse_application(self, group_id: str, user: str, text: str = "") -> RequestHandle[None]:
        """Do not make who applies a member; `text` is for them, at most 256 bytes."""
        return self._decide(group_id, user, text, ok=False)

    def mine(self, next: bytes = b"") -> RequestHandle[GroupPage]:  # noqa: A002
        """Ask for this user's groups, by id; `next` is the `next` of the page before."""
        cursor = checked_bytes("next", next, MAX_CURSOR_BYTES)
        return self._ask(ListGroups(id=new_request_id(), dev=self.device, next=cursor), RequestHandle())

    def _decide(self, group_id: str, user: str, text: str, *, ok: bool) -> RequestHandle[None]:
        gid = checked_id("group_id", group_id)
        request = AnswerApplication(
            id=new_request_id(), dev=self.device, gid=gid, user=checked_id("user", user), ok=ok,
            text=checked_text("text", text, MAX_TEXT_BYTES),
        )  # fmt: skip
        return self._ask(request, RequestHandle(group_id=gid))



def _info(what: str, value: object) -> str:
    return checked_text(what, value, _INFO_BYTES[what])


def _custom(fields: object) -> dict[str, bytes]:
    return checked_fields("custom", fields, MAX_CUSTOM_KEYS, MAX_CUSTOM_BYTES)
