"""What the commands about groups share."""

from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import typer

from ringline.client import SignalingClient
from ringline.handles import RequestHandle
from ringline_broker.cli.printing import out, out_json, printable
from ringline_broker.cli.session import OneShotOptions, asked, checked, settled

P = TypeVar("P")

GroupId = Annotated[
    str, typer.Argument(metavar="ID", help="Which group; after -- where the id begins with a dash.", show_default=False)
]
User = Annotated[str, typer.Argument(metavar="USER", help="Whom.", show_default=False)]
Users = Annotated[list[str], typer.Argument(metavar="USER", help="Whom.", show_default=False)]
Text = Annotated[str, typer.Option(help="What to say with it, at most 256 bytes.", show_default=False)]


def change(
    done: str, sentence: str, group_id: str, options: OneShotOptions,
    request: Callable[[SignalingClient], RequestHandle[object]],
) -> None:  # fmt: skip
    """Make one request that changes a group, and say so.

    Args:
        done: what was done, in one word, for scripts.
        sentence: likewise, for people.
        group_id: which group.
        options: who asks, and where.
        request: makes the request.

    Raises:
        Failure: it was refused, or nobody answers.
    """
    asked(options, request)
    say_done(done, sentence, group_id, options)


def say_done(done: str, sentence: str, group_id: str, options: OneShotOptions) -> None:
    """Say what was done, see `change`."""
    if options.json:
        out_json(group_id=group_id, done=done)
    else:
        out(printable(sentence))


def pages(
    client: SignalingClient, ask: Callable[[SignalingClient, bytes], RequestHandle[P]], after: Callable[[P], bytes]
) -> Iterator[P]:
    """Every page of a list.

    Args:
        client: who asks.
        ask: for the page at this place.
        after: where the page after this one is; empty where there is none.

    Raises:
        Failure: a page was refused, or nobody answers.
    """
    place = b""
    while True:
        with checked():
            handle = ask(client, place)
        page = settled(handle)
        yield page
        if not (place := after(page)):
            return
