"""`ringline accept`, `reject`, `cancel`, `modify` and `show`: one request about one invitation each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from ringline.client import SignalingClient
from ringline.handles import RequestHandle
from ringline_broker.cli.printing import out, out_json, printable
from ringline_broker.cli.session import OneShotOptions, asked
from ringline_broker.cli.telling import tell_state
from ringline_broker.cli.values import parse_data

InviteId = Annotated[str, typer.Argument(metavar="ID", help="Which; after -- where the id begins with a dash.")]
Data = Annotated[
    str, typer.Option(help='What goes with it, JSON; {"$bytes": "<base64>"} for bytes.', show_default=False)
]


@dataclass(frozen=True, slots=True)
class WhyOptions:
    """Why.

    Attributes:
        reason: A word such as busy, declined, do_not_disturb; at most 32 bytes.
        text: Free text beside it, at most 256 bytes.
    """

    reason: str = ""
    text: str = ""


def accept(invite_id: InviteId, client: OneShotOptions, data: Data = "") -> None:
    """Accept an invitation."""
    value = parse_data(data)
    _change("accepted", invite_id, client, lambda caller: caller.accept(invite_id, value))


def reject(invite_id: InviteId, why: WhyOptions, client: OneShotOptions, data: Data = "") -> None:
    """Reject an invitation."""
    value = parse_data(data)
    _change(
        "rejected", invite_id, client,
        lambda caller: caller.reject(invite_id, value, reason=why.reason, text=why.text),
    )  # fmt: skip


def cancel(
    invite_id: InviteId,
    why: WhyOptions,
    client: OneShotOptions,
    data: Data = "",
    invitee: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="Only for this invitee; may be given more than once.")
    ] = None,
) -> None:
    """Cancel an invitation for all who have not answered."""
    value = parse_data(data)
    _change(
        "cancelled", invite_id, client,
        lambda caller: caller.cancel(
            invite_id, value, invitees=invitee or (), reason=why.reason, text=why.text
        ),
    )  # fmt: skip


def modify(
    invite_id: InviteId,
    client: OneShotOptions,
    data: Annotated[str, typer.Option(help="The new data, JSON; an empty text for none.", show_default=False)],
) -> None:
    """Replace the data of an open invitation."""
    value = parse_data(data)
    _change("modified", invite_id, client, lambda caller: caller.modify(invite_id, value))


def show(invite_id: InviteId, client: OneShotOptions) -> None:
    """Show the present state of an invitation."""
    tell_state(asked(client, lambda caller: caller.get(invite_id)), as_json=client.json)


def _change(
    done: str, invite_id: str, options: OneShotOptions, request: Callable[[SignalingClient], RequestHandle[None]]
) -> None:
    asked(options, request)
    if options.json:
        out_json(invite_id=invite_id, done=done)
    else:
        out(f"{done} {printable(invite_id)}")
