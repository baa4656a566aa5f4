"""Options that come as a dataclass: its fields are the flags, and its docstring is their help.

So a setting is described once, and is a flag, a line of help and a key of a TOML file all the same.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_type_hints

import typer

from ringline_broker.cli.exits import ExitCode, Failure

T = TypeVar("T")

_ATTRIBUTE = re.compile(r"    (\w+(?:, \w+)*): (.+)")
_CONTINUED = re.compile(r"        (\S.*)")


def spread(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Let a command take dataclasses: typer sees their fields as options, the command gets the dataclasses.

    Raises:
        Failure: (when called) a dataclass refuses a value.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint) and isinstance(hint, type)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _parameters(groups[parameter.name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))

    @functools.wraps(command)
    def called(**values: Any) -> int | None:  # noqa: ANN401 - whatever typer parsed
        made = {
            name: make(group, {field.name: values.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        return command(**values, **made)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def make(group: type[T], values: dict[str, Any]) -> T:
    """Fill a dataclass.

    Raises:
        Failure: it refuses a value.
    """
    try:
        return group(**values)
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, str(wrong)) from wrong


def flag(name: str) -> str:
    """The flag of a field."""
    return "--" + name.rstrip("_").replace("_", "-")


def given(context: typer.Context, group: type) -> set[str]:
    """The fields of a dataclass that stand on the command line."""
    fields = (field.name for field in dataclasses.fields(group))
    sources = ((name, context.get_parameter_source(name)) for name in fields)
    return {name for name, source in sources if source is not None and source.name == "COMMANDLINE"}


def helps(group: type) -> dict[str, str]:
    """What the docstring says of each attribute, and those of the bases of theirs; a line may be about several."""
    found: dict[str, str] = {}
    names: list[str] = []
    lines = [line for one in reversed(group.__mro__) for line in inspect.cleandoc(one.__doc__ or "").splitlines()]
    for line in lines:
        if begun := _ATTRIBUTE.fullmatch(line):
            names = begun[1].split(", ")
            found |= dict.fromkeys(names, begun[2])
        elif more := _CONTINUED.fullmatch(line):
            found |= {name: f"{found[name]} {more[1]}" for name in names}
    return found


def _parameters(group: type) -> Iterator[inspect.Parameter]:
    types = get_type_hints(group)
    texts = helps(group)
    for field in dataclasses.fields(group):
        shown = field.default not in (None, "") and field.default is not False
        text = texts[field.name]
        option = typer.Option(
            field.default, flag(field.name), help=text[0].upper() + text[1:], show_default=shown
        )
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=types[field.name]
        )
