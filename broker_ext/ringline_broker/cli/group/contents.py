"""What a group holds for its members: attributes and counters."""

from typing import Annotated

import typer

from ringline.data import Value
from ringline.group_events import GroupInfo
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.group.asking import GroupId, change
from ringline_broker.cli.printing import out, out_json
from ringline_broker.cli.session import OneShotOptions, asked
from ringline_broker.cli.telling_groups import tell_attributes
from ringline_broker.cli.values import parse_json


def attr(
    group_id: GroupId,
    *,
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="KEY=TEXT, or KEY:=JSON for other values.", show_default=False),
    ] = None,
    delete: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Delete this one; may be given more than once.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete all first.")] = False,
    expected: Annotated[
        int | None, typer.Option(help="Change them only where they are at this version.", show_default=False)
    ] = None,
    client: OneShotOptions,
) -> None:
    """Show a group's attributes and their version, or change them, all of it or nothing."""
    put = dict(map(_pair, changes or ()))
    if put or delete or clear:
        change(
            "set", f"changed attributes of {group_id}", group_id, client,
            lambda caller: caller.groups.set_attributes(
                group_id, put, delete=delete or (), clear=clear, expected=expected
            ),
        )  # fmt: skip
    elif expected is not None:
        raise Failure(ExitCode.WRONG_USE, "--expected is for changes: give KEY=VALUE, --delete KEY or --clear too")
    else:
        tell_attributes(_as_member(group_id, client), as_json=client.json)


def count(
    group_id: GroupId,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Which counter.", show_default=False)],
    *,
    by: Annotated[int | None, typer.Option(help="Add so much; less than 0 takes away.", show_default=False)] = None,
    set_: Annotated[int | None, typer.Option("--set", help="Set it to so much.", show_default=False)] = None,
    client: OneShotOptions,
) -> None:
    """Show a counter of a group, or change it; one that was never set is 0."""
    if by is not None and set_ is not None:
        raise Failure(ExitCode.WRONG_USE, "--by adds and --set sets: give one of them")
    if by is not None:
        sentence = f"added {by} to {key} of {group_id}"
        change("counted", sentence, group_id, client, lambda caller: caller.groups.add_to_counter(group_id, key, by))
    elif set_ is not None:
        sentence = f"set {key} of {group_id} to {set_}"
        change("counted", sentence, group_id, client, lambda caller: caller.groups.set_counter(group_id, key, set_))
    else:
        value = _as_member(group_id, client).counters.get(key, 0)
        if client.json:
            out_json(group_id=group_id, key=key, value=value)
        else:
            out(str(value))


def _as_member(group_id: str, client: OneShotOptions) -> GroupInfo:
    """The group as its members see it; a stranger is told neither attributes nor counters."""
    info = asked(client, lambda caller: caller.groups.info(group_id))
    if not info.role:
        raise Failure(ExitCode.REFUSED, f"only members of {group_id} see what it holds; join it first")
    return info


def _pair(text: str) -> tuple[str, Value]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Failure(ExitCode.WRONG_USE, f"a change is KEY=TEXT or KEY:=JSON, not {text!r}")
    if not key.endswith(":"):
        return key, value
    return key[:-1], parse_json(value, text)
