"""`ringline block`, `unblock` and `blocked`: whom one's own devices do not ring for."""

from collections.abc import Callable
from typing import Annotated

import typer

from ringline.client import SignalingClient
from ringline.events import BlocklistPage
from ringline.handles import RequestHandle
from ringline_broker.cli.group.asking import pages
from ringline_broker.cli.printing import out, out_json, printable
from ringline_broker.cli.session import OneShotOptions, asked, connected

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Whom; at most 300 at once.", show_default=False)]


def block(names: Names, client: OneShotOptions) -> None:
    """Let users ring you no more: to them your line is busy, and nothing of their calls arrives."""
    _change("blocked", names, client, lambda caller: caller.blocklist.add(names))


def unblock(names: Names, client: OneShotOptions) -> None:
    """Let users ring you again; who is not blocked is passed over."""
    _change("unblocked", names, client, lambda caller: caller.blocklist.remove(names))


def blocked(client: OneShotOptions) -> None:
    """List whom you have blocked, one a line."""

    def after(page: BlocklistPage) -> bytes:
        return page.next

    with connected(client) as caller:
        for page in pages(caller, lambda one, place: one.blocklist.list(place), after):
            for name in page.users:
                if client.json:
                    out_json(user=name)
                else:
                    out(printable(name))


def _change(
    done: str, names: list[str], options: OneShotOptions, request: Callable[[SignalingClient], RequestHandle[None]]
) -> None:
    asked(options, request)
    users = list(dict.fromkeys(names))
    if options.json:
        out_json(users=users, done=done)
    else:
        out(printable(f"{done} {', '.join(users)}"))
