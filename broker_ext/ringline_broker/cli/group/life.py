"""How groups begin and end, and what they say of themselves and of their members."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from ringline.group_events import GroupPage
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.group.asking import GroupId, change, pages
from ringline_broker.cli.printing import out, out_json, printable
from ringline_broker.cli.session import OneShotOptions, asked, connected
from ringline_broker.cli.telling_groups import tell_info


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What the group is.

    Attributes:
        preset: What members may do by default: work (all add members, nobody joins), public (joining takes approval),
            meeting (anybody joins), live (likewise, and nobody is added).
        name: For people, at most 100 bytes.
        introduction: For people, at most 400 bytes.
        notification: For people, at most 400 bytes.
        face_url: A picture's, at most 500 bytes.
        max_: Members it may have; 0 for what the preset allows.
        join: How one becomes a member; where left out, as the preset has it.
    """

    preset: Literal["work", "public", "meeting", "live"] = "public"
    name: str = ""
    introduction: str = ""
    notification: str = ""
    face_url: str = ""
    max_: int = 0
    join: Literal["free", "approval", "invite"] | None = None


@dataclass(frozen=True, slots=True)
class SetOptions:
    """What changes; what is left out stays.

    Attributes:
        name: For people, at most 100 bytes.
        introduction: For people, at most 400 bytes.
        notification: For people, at most 400 bytes.
        face_url: A picture's, at most 500 bytes.
        max_: Members it may have; 0 for what the preset allows.
        join: How one becomes a member.
    """

    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    face_url: str | None = None
    max_: int | None = None
    join: Literal["free", "approval", "invite"] | None = None


def create(
    group_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, of your choice; nobody ever had it.", show_default=False)
    ],
    options: CreateOptions,
    *,
    member: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="A member from the start; may be given more than once.")
    ] = None,
    client: OneShotOptions,
) -> None:
    """Make a group, which is then yours."""
    change(
        "created", f"created {group_id}", group_id, client,
        lambda caller: caller.groups.create(
            group_id, preset=options.preset, name=options.name, introduction=options.introduction,
            notification=options.notification, face_url=options.face_url, max_members=options.max_,
            join_option=options.join or "", members=member or (),
        ),
    )  # fmt: skip


def dismiss(group_id: GroupId, client: OneShotOptions) -> None:
    """End a group of yours for everybody."""
    change("dismissed", f"dismissed {group_id}", group_id, client, lambda caller: caller.groups.dismiss(group_id))


def set_(group_id: GroupId, options: SetOptions, client: OneShotOptions) -> None:
    """Change what a group says of itself; what is left out stays."""
    changes: dict[str, Any] = {
        "name": options.name,
        "introduction": options.introduction,
        "notification": options.notification,
        "face_url": options.face_url,
        "max_members": options.max_,
        "join_option": options.join,
    }
    if all(value is None for value in changes.values()):
        text = "say what to change: --name, --introduction, --notification, --face-url, --max or --join"
        raise Failure(ExitCode.WRONG_USE, text)
    change("set", f"changed {group_id}", group_id, client, lambda caller: caller.groups.set_info(group_id, **changes))


def me(
    group_id: GroupId,
    *,
    card: Annotated[str, typer.Option(help="Your name in this group, at most 50 bytes.", show_default=False)],
    client: OneShotOptions,
) -> None:
    """Change what a group shows of you."""
    sentence = f"you are {card} in {group_id}" if card else f"you have no card in {group_id} any more"
    change("set", sentence, group_id, client, lambda caller: caller.groups.set_my_info(group_id, card=card))


def list_(client: OneShotOptions) -> None:
    """List the groups you are a member of."""

    def after(page: GroupPage) -> bytes:
        return page.next

    with connected(client) as caller:
        for page in pages(caller, lambda one, place: one.groups.mine(place), after):
            for group_id in page.groups:
                if client.json:
                    out_json(group_id=group_id)
                else:
                    out(printable(group_id))


def info(group_id: GroupId, client: OneShotOptions) -> None:
    """Show how a group stands."""
    tell_info(asked(client, lambda caller: caller.groups.info(group_id)), as_json=client.json)
