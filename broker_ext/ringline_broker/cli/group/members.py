"""Who is in a group, who may do what, and who wants to come in."""

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from ringline.client import SignalingClient
from ringline.group_events import MemberPage
from ringline.handles import RequestHandle
from ringline_broker.cli.group.asking import GroupId, Text, User, Users, change, pages, say_done
from ringline_broker.cli.session import OneShotOptions, asked, connected
from ringline_broker.cli.telling_groups import tell_member


def join(group_id: GroupId, *, text: Text = "", client: OneShotOptions) -> None:
    """Become a member, or apply for it where that takes approval."""
    if asked(client, lambda caller: caller.groups.join(group_id, text)):
        say_done("joined", f"joined {group_id}", group_id, client)
    else:
        say_done("applied", f"applied to {group_id}; whoever leads it decides", group_id, client)


def quit_(group_id: GroupId, client: OneShotOptions) -> None:
    """Stop being a member."""
    change("quit", f"quit {group_id}", group_id, client, lambda caller: caller.groups.quit(group_id))


def add(group_id: GroupId, users: Users, client: OneShotOptions) -> None:
    """Make users members, without asking them."""
    change(
        "added", f"added {', '.join(users)} to {group_id}", group_id, client,
        lambda caller: caller.groups.add(group_id, users),
    )  # fmt: skip


def remove(
    group_id: GroupId,
    users: Users,
    *,
    reason: Annotated[str, typer.Option(help="A word of your own, at most 32 bytes.", show_default=False)] = "",
    ban: Annotated[int, typer.Option(help="Seconds for which they cannot come back.")] = 0,
    client: OneShotOptions,
) -> None:
    """Make members leave."""
    change(
        "removed", f"removed {', '.join(users)} from {group_id}", group_id, client,
        lambda caller: caller.groups.remove(group_id, users, reason=reason, ban=ban),
    )  # fmt: skip


def members(
    group_id: GroupId,
    *,
    role: Annotated[Literal["all", "owner", "admin", "member"], typer.Option(help="Only these.")] = "all",
    client: OneShotOptions,
) -> None:
    """List the members."""
    only = "" if role == "all" else role
    _tell_all(group_id, client, lambda caller, place: caller.groups.members(group_id, only, place))


def role(
    group_id: GroupId,
    user: User,
    role: Annotated[
        Literal["admin", "member"], typer.Argument(metavar="admin|member", help="What they become.", show_default=False)
    ],
    client: OneShotOptions,
) -> None:
    """Make a member an administrator, or an administrator a member."""
    sentence = f"{user} is {'an administrator' if role == 'admin' else 'a member'} of {group_id}"
    change(role, sentence, group_id, client, lambda caller: caller.groups.set_role(group_id, user, role))


def transfer(group_id: GroupId, user: User, client: OneShotOptions) -> None:
    """Make another member the owner."""
    change(
        "transferred", f"{user} owns {group_id}", group_id, client,
        lambda caller: caller.groups.transfer(group_id, user),
    )  # fmt: skip


def mute(
    group_id: GroupId,
    user: User,
    seconds: Annotated[int, typer.Argument(metavar="SECONDS", help="For how long; 0: no longer.", show_default=False)],
    client: OneShotOptions,
) -> None:
    """Keep a member from inviting for some time."""
    done = "muted" if seconds else "unmuted"
    sentence = f"{user} may not invite in {group_id} for {seconds} s" if seconds else f"{user} may invite in {group_id}"
    change(done, sentence, group_id, client, lambda caller: caller.groups.mute(group_id, user, seconds))


def mute_all(
    group_id: GroupId,
    on: Annotated[
        Literal["on", "off"], typer.Argument(metavar="on|off", help="Whether they are muted.", show_default=False)
    ],
    client: OneShotOptions,
) -> None:
    """Keep all but the owner and administrators from inviting, or no longer."""
    is_on = on == "on"
    who = "only the owner and administrators" if is_on else "all"
    sentence = f"{who} may invite in {group_id}"
    change(
        "muted" if is_on else "unmuted", sentence, group_id, client,
        lambda caller: caller.groups.mute_all(group_id, is_on),
    )  # fmt: skip


def applications(group_id: GroupId, client: OneShotOptions) -> None:
    """List who applies for membership."""
    _tell_all(group_id, client, lambda caller, place: caller.groups.applications(group_id, place))


def accept(group_id: GroupId, user: User, *, text: Text = "", client: OneShotOptions) -> None:
    """Make who applies a member."""
    change(
        "accepted", f"{user} is a member of {group_id}", group_id, client,
        lambda caller: caller.groups.accept_application(group_id, user, text),
    )  # fmt: skip


def refuse(group_id: GroupId, user: User, *, text: Text = "", client: OneShotOptions) -> None:
    """Do not make who applies a member."""
    change(
        "refused", f"refused {user} in {group_id}", group_id, client,
        lambda caller: caller.groups.refuse_application(group_id, user, text),
    )  # fmt: skip


def _tell_all(
    group_id: str, options: OneShotOptions, ask: Callable[[SignalingClient, bytes], RequestHandle[MemberPage]]
) -> None:
    def after(page: MemberPage) -> bytes:
        return page.next

    with connected(options) as caller:
        for page in pages(caller, ask, after):
            for member in page.members:
                tell_member(group_id, member, as_json=options.json)
