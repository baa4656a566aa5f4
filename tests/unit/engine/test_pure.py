"""The engine imports the protocol and what has neither I/O nor time nor chance."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringline_broker import engine

ALLOWED = {"dataclasses", "enum", "typing", "types", "collections.abc"}
OURS = ("ringline.protocol", "ringline_broker.engine")
FOLDER = Path(engine.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, level=level):
                yield "." * level + (module or "")
            case _:
                pass


def _foreign(source: str) -> list[str]:
    return [
        name
        for name in _imports(source)
        if name not in ALLOWED and not any(name == ours or name.startswith(f"{ours}.") for ours in OURS)
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_module_of_the_engine_is_pure(module: Path) -> None:
    assert _foreign(module.read_text()) == []


def test_nothing_of_the_engine_is_missed() -> None:
    names = {str(module.relative_to(FOLDER)) for module in MODULES}
    assert {"model.py", "table.py", "step.py", "draft.py", "log.py", "groups/step.py", "groups/table.py"} <= names


@pytest.mark.parametrize(
    "line",
    ["import time", "from os import path", "import ringline", "from ringline.client import x", "from . import model",
     "def f():\n    import random", "import ringline_broker.stores", "import collections"],
)  # fmt: skip
def test_a_forbidden_import_is_seen(line: str) -> None:
    assert _foreign(line)
